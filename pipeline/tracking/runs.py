"""One run: plain values of the stages, written to its journal."""

import getpass
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pipeline.paths import ROOT
from pipeline.tracking import environment, logged
from pipeline.tracking.git import Revision, copy_untracked
from pipeline.tracking.journal import BUNDLE, now
from pipeline.tracking.orphans import process_tags
from pipeline.tracking.sender import Sender

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST_PARAM = 6000
# The tag that MLflow shows as the description of a run.
DESCRIPTION = "mlflow.note.content"


class Run:
    """
    A run that is open for writing. What is logged is on disk at once, and sent by a thread.

    Parameters
    ----------
    sender : Sender
        Sends the journal of the run.
    """

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.journal = sender.journal

    @property
    def id(self) -> str:
        """The id of the run in the store, or the name of its journal before it has one."""
        return self.sender.run_id or self.journal.name

    def log_curve(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to curves, which are logged as ``curve/<name>``."""
        self.log_metrics({f"curve/{name}": value for name, value in values.items()}, step)

    def log_scores(self, values: Mapping[str, float]) -> None:
        """Log final scores and costs."""
        self.log_metrics(values, 0)

    def log_rounds(self, parts: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
        """
        Log the scores of each round as the steps of metrics named ``rounds/<part>/<metric>``.

        Of a single round nothing is logged: its scores are those of the run.
        """
        for part, rounds in parts.items():
            if len(rounds) > 1:
                for step, scores in enumerate(rounds):
                    named = {f"rounds/{part}/{name}": value for name, value in scores.items()}
                    self.log_metrics(named, step)

    def log_metrics(self, values: Mapping[str, float], step: int, time: int | None = None) -> None:
        """Log a point of metrics, of now or of a time in milliseconds."""
        time = time or now()
        points = [[name, float(value), time, step] for name, value in values.items()]
        self.journal.add(metrics=points)

    def log_params(self, values: Mapping[str, Any]) -> None:
        """Log parameters."""
        params = {key: str(value)[:LONGEST_PARAM] for key, value in values.items()}
        self.journal.add(params=params)

    def log_settings(self, root: Path, settings: Mapping[str, Any], code: Revision) -> None:
        """Log settings, as parameters and as a file, and what the code runs in."""
        self.log_params(dict(_flatten(settings)))
        folder = self.journal.new_folder()
        _write_environment(folder, root, settings, code)
        self.journal.add(files=folder.name)

    def log_text(self, name: str, content: str) -> None:
        """Log a text as an artifact."""
        folder = self.journal.new_folder()
        (folder / name).write_text(content, encoding="utf-8")
        self.journal.add(files=folder.name)

    def log_figure(self, name: str, figure: "Figure") -> None:
        """Log a figure as an artifact."""
        folder = self.journal.new_folder()
        figure.savefig(folder / name)
        self.journal.add(files=folder.name)

    def log_training(
        self,
        manifest: Mapping[str, Any],
        folder: Path,
        digest: str,
        costs: Mapping[str, float],
        trusted: list[str],
    ) -> None:
        """
        Log the scores, costs and data of a training, and its model.

        Parameters
        ----------
        manifest : mapping
            The manifest of the trained model, as `bundle.write` returns it.
        folder : Path
            The folder of the trained model.
        digest : str
            The digest of the manifest: the tag by which `find_run` finds the run.
        costs : mapping of str to float
            The costs of the training that are known.
        trusted : list of str
            Types of other packages that the logged model may load.
        """
        self.log_scores({f"validation/{name}": value for name, value in manifest["scores"].items()})
        self.log_rounds({"validation": [one["scores"] for one in manifest["rounds"]]})
        self.log_scores({f"cost/{name}": value for name, value in costs.items()})
        data = manifest["data"]
        named = {"name": manifest["task"], "digest": data["digest"], "origin": data["origin"]}
        self.journal.add(data=named)
        self.log_model(manifest, folder, trusted)
        fits = len(manifest["rounds"])
        rounds = "in one round" if fits == 1 else f"as the mean of {fits} fits in rounds"
        described = f"{manifest['model']} on {manifest['task']}, scored {rounds}."
        self.log_tags({DESCRIPTION: described, BUNDLE: digest})

    def log_model(self, manifest: Mapping[str, Any], folder: Path, trusted: list[str]) -> None:
        """
        Log a trained model, which predicts from raw inputs.

        Parameters
        ----------
        manifest : mapping
            The manifest of the model: ``model`` (its name), ``inputs`` and ``outputs`` with the
            kind of each, ``example`` (a few raw examples), ``requirements``, and perhaps
            ``modules``, the project's own code beside this package.
        folder : Path
            The folder of the trained model.
        trusted : list of str
            Types of other packages that the model may load.
        """
        place = self.journal.new_folder()
        logged.copy_model(folder, place / "model")
        package = logged.copy_package(place / "code", trusted)
        for name in manifest.get("modules", []):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, place / "code" / Path(name).name)
        self.journal.add(
            model={
                "files": place.name,
                "package": package,
                # A dot is refused in this name.
                "name": manifest["model"].replace(".", "_"),
                **{key: manifest[key] for key in ("inputs", "outputs", "example", "requirements")},
            }
        )

    def log_comparison(self, folder: Path, description: str) -> None:
        """
        Log the reports of a comparison.

        Parameters
        ----------
        folder : Path
            Folder of the reports.
        description : str
            The verdict as Markdown, which MLflow shows above the run.
        """
        self.log_tags({DESCRIPTION: description})
        copy = self.journal.new_folder()
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        self.journal.add(files=copy.name)

    def log_board(
        self,
        metric: str,
        scores: Mapping[str, str],
        verdicts: Mapping[str, str],
        losses: Sequence[str],
    ) -> None:
        """
        Mark the runs of a board, which the store then lists in its order.

        Parameters
        ----------
        metric, scores, verdicts, losses
            As for `shared_view.share_board`.
        """
        board = {"metric": metric, "scores": scores, "verdicts": verdicts, "losses": losses}
        self.journal.add(board=board)

    def log_failure(self, reason: str, trace: str) -> None:
        """Log why a training failed: one line as a tag, and the traceback."""
        self.log_tags({"error": reason})
        self.log_text("error.txt", trace)

    def log_tags(self, values: Mapping[str, str]) -> None:
        """Log tags."""
        self.journal.add(tags=dict(values))

    def begin_again(self, tags: Mapping[str, str]) -> None:
        """Let a run that had ended be that of this process."""
        self.journal.add(begin="RUNNING")
        self.log_tags(process_tags() | dict(tags))

    def end(self, status: str, time: int | None = None) -> None:
        """End the run, now or at a time in milliseconds."""
        self.journal.add(end=status, time=time or now())


def _write_environment(
    folder: Path, root: Path, settings: Mapping[str, Any], code: Revision
) -> None:
    """Write the settings, the installed packages, and the changes to the code as files."""

    def write(name: str, content: str) -> None:
        (folder / name).write_text(content, encoding="utf-8", errors="surrogateescape")

    write("config.yaml", yaml.safe_dump(dict(settings), sort_keys=False))
    write("requirements.txt", "".join(f"{line}\n" for line in environment.installed_packages()))
    if code.changes:
        write("uncommitted.diff", code.changes)
    left_out = copy_untracked(root, code.untracked, folder / "untracked")
    if left_out:
        write("untracked.txt", "".join(f"{line}\n" for line in left_out))


def code_tags(code: Revision) -> dict[str, str]:
    """Return the program, the commit, the process and the machine as tags."""
    tags = {
        "mlflow.source.name": Path(sys.argv[0]).stem,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": code.commit,
        "mlflow.user": getpass.getuser(),
        "git.dirty": str(bool(code.changes)).lower(),
        "dvc.stage": os.environ.get("DVC_STAGE", ""),
        "dvc.exp_name": os.environ.get("DVC_EXP_NAME", ""),
        **process_tags(),
        **environment.machine(),
    }
    return {key: value for key, value in tags.items() if value}


def _flatten(nested: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(nested, Mapping):
        for key, value in nested.items():
            yield from _flatten(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, nested
