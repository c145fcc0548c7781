"""Where things lie in the project."""

import os
import sys
from pathlib import Path

from pipeline.errors import UserError

# The folder of this package: a checkout, or where packages are installed.
SOURCE = Path(__file__).resolve().parents[1]


def is_project(folder: Path) -> bool:
    """Return whether a folder is a project: a checkout, or what `pipeline.init` makes."""
    files = (folder / "params.yaml", folder / "dvc.yaml")
    return all(file.is_file() for file in files) and (folder / "conf").is_dir()


def find_root() -> Path:
    """
    Return the project that commands work on.

    It is the nearest one from the working directory upwards, otherwise the checkout that this
    package is imported from. If there is none, such as where a logged model is served, it is
    the working directory.
    """
    here = Path.cwd()
    return next(filter(is_project, (here, *here.parents, SOURCE)), here)


ROOT = find_root()
CONF = ROOT / "conf"
PARAMS = ROOT / "params.yaml"
COMPOSED = ROOT / "composed"
# A study in a SQLite file, kept as the journal of what happened to it.
JOURNAL = "journal:///"
# The model that `pipeline.combine` makes of the others.
ENSEMBLE = "ensemble"


def enter_project() -> None:
    """
    Check that there is a project, and let modules that lie in it be imported.

    Raises
    ------
    UserError
        If there is none.
    """
    if not is_project(ROOT):
        raise UserError(f"no project in {ROOT} or above it: bakeoff init my-project")
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))


def in_checkout() -> bool:
    """Return whether the project brings this package, rather than uses an installed one."""
    return ROOT == SOURCE


def store_uri() -> str:
    """
    Return where runs are recorded when conf/ is not composed.

    The environment decides, otherwise it is a SQLite file at the root of the
    project, not of the copy that a DVC experiment runs in.
    """
    root = Path(os.environ.get("DVC_ROOT", ROOT))
    return os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{root.as_posix()}/mlflow.db")


def study_storage() -> str:
    """Return where sweeps are kept: a folder of SQLite files beside the runs."""
    root = Path(os.environ.get("DVC_ROOT", ROOT))
    return f"{JOURNAL}{root.as_posix()}/sweeps"


def spool_folder() -> Path:
    """Folder of what the tracking store does not have yet, beside the runs."""
    return Path(os.environ.get("DVC_ROOT", ROOT)) / ".spool"


def composed_file(stage: str, task: str, model: str | None = None) -> Path:
    """File of the settings that `pipeline.compose` wrote for a stage."""
    place = COMPOSED / stage / task
    return place / f"{model}.yaml" if model else place.with_name(f"{task}.yaml")


def adopted_file(task: str, model: str) -> Path:
    """File of the settings that a sweep found best for a model on a task."""
    return CONF / "adopted" / task / f"{model}.yaml"


def sweep_folder(study: str) -> Path:
    """Folder of a sweep, with one for each of its trials."""
    return ROOT / "multirun" / study


def ingested_folder(task: str) -> Path:
    """Folder of a task's checked and split examples."""
    return ROOT / "data" / "ingested" / task


def features_folder(task: str) -> Path:
    """Folder of a task's views, with a folder for each."""
    return ROOT / "data" / "features" / task


def model_folder(task: str, model: str) -> Path:
    """
    Folder of a trained model, as DVC's stages and plain trainings make it.

    That of the ensemble is elsewhere, because its stage depends on the folder of the others.
    """
    return ROOT / "ensembles" / task if model == ENSEMBLE else ROOT / "models" / task / model


def validation_file(task: str, model: str) -> Path:
    """File of its scores on validation."""
    return ROOT / "metrics" / task / f"{model}.json"


def report_folder(task: str) -> Path:
    """Folder of a task's leaderboard, predictions and plots."""
    return ROOT / "reports" / task
