"""
Do to the project what goes wrong in practice, and count what is lost or wrong after it.

Run: python benchmarks/faults.py [--short]. Disks that are full are small ones in memory, which
only root can mount, and only on Linux.

The last commit is cloned into a temporary folder, and each row of the table is what one function
of `ROWS` did there. A fault is told below the table with what is needed to try it again.
"""

import importlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from edits import Stranger, edit
from kills import each_call, random_kills, store_gone
from processes import TASK, Row, clone, fork, import_libraries, inside, must, run, scores
from report import machine, table

PAGE = resource.getpagesize()
# The longest that one of many first writers may take, in seconds.
WRITING = 600
NEIGHBOURS = """\
family: classical
view: engineered
_target_: sklearn.neighbors.KNeighborsClassifier
algorithm: kd_tree
"""
KINDS = (
    "random_forest",
    "lightgbm",
    "hist_gradient_boosting",
    "neural_net",
    "neighbours",
    "logistic_regression",
)


def main() -> None:
    """Do what each row says, and print the table."""
    short = "--short" in sys.argv[1:]
    print(machine())
    import_libraries()
    rows = []
    for row in ROWS:
        with tempfile.TemporaryDirectory() as folder:
            project = clone(Path(folder).resolve())
            rows.append(row(project, short))
        print(f"{row.__name__} done", file=sys.stderr)
    cells = [[r.what, str(r.attempts), str(len(r.lost)), str(len(r.wrong))] for r in rows]
    print(table(["what", "attempts", "lost", "wrong"], cells))
    faults = [f"{r.what}: {fault}" for r in rows for fault in [*r.lost, *r.wrong]]
    print(*faults, sep="\n")
    sys.exit(bool(faults))


def hostile_files(project: Path, short: bool) -> Row:
    """Edit files of trained models, and predict with them."""
    each = 4 if short else 100
    (project / "conf/model/neighbours.yaml").write_text(NEIGHBOURS)
    must(project, "pipeline.ingest", f"task={TASK}", "task.split.folds=null")
    must(project, "pipeline.featurize", f"task={TASK}")
    for kind in KINDS:
        must(project, "pipeline.train", f"task={TASK}", f"model={kind}")
    pipe, sprung = project.parent / "pipe", project.parent / "sprung"
    os.mkfifo(pipe)
    code = f"import os\n\nos.mkdir({str(sprung)!r})\n\nclass Trap:\n    pass\n"
    (project / "trap.py").write_text(code)
    wrong = []
    with inside(project):
        predict = importlib.import_module("pipeline.predict")
        importlib.import_module("pipeline.models.neural_net")
        write_patients(project / "patients.csv")
        for kind in KINDS:
            folder, whole = project / "models" / TASK / kind, project.parent / kind
            shutil.copytree(folder, whole)
            call = [f"task={TASK}", f"model={kind}", "file=patients.csv", "output=answers.csv"]

            def answer(call: list[str] = call) -> None:
                sys.argv = ["predict", *call]
                predict.command.run_plain("predict", predict.main, predict.Predict, predict.KEYS)

            ended = fork(answer).wait()
            if ended.code != 0:
                sys.exit(f"error: {kind} does not predict: {ended.said}")
            for number in range(each):
                stranger = Stranger(Random(f"{kind} {number}"), pipe, sprung, "trap")
                done = edit(folder, stranger)
                fault = fork(answer).wait().fault()
                if sprung.exists():
                    sprung.rmdir()
                    fault = "code was run"
                if fault:
                    wrong.append(f"{kind} {number}: {done}: {fault}")
                shutil.rmtree(folder)
                shutil.copytree(whole, folder)
    return Row(f"edits of {len(KINDS)} kinds of models", each * len(KINDS), [], wrong)


def write_patients(path: Path) -> None:
    """Write the first examples of the task as a table."""
    import pandas as pd  # here, since it is needed after the clone is made

    examples = pd.read_parquet(path.parent / "data/ingested" / TASK / "examples.parquet")
    examples.drop(columns=["example_id", "label"]).head(20).to_csv(path, index=False)


def first_writers(project: Path, short: bool) -> Row:
    """Let many processes begin a run at once in a store that is not there yet."""
    writers = 8 if short else 32
    with inside(project):
        tracking = importlib.import_module("pipeline.tracking")
        uri = f"sqlite:///{project.as_posix()}/mlflow.db"

        def write(number: int) -> None:
            with (
                tracking.recording(uri) as records,
                records.start_run(project, "first", f"run {number}", settings={}, tags={}),
            ):
                pass

        waiting = [fork(lambda number=number: write(number), WRITING) for number in range(writers)]
        ended = [process.wait() for process in waiting]
        wrong = [f"writer {n}: {one.said or one.code}" for n, one in enumerate(ended) if one.code]
        code = "import sys, mlflow; c = mlflow.MlflowClient(sys.argv[1]); "
        code += "e = c.get_experiment_by_name('first'); runs = c.search_runs([e.experiment_id]); "
        code += "print(*(f'{r.info.run_name} {r.info.status}' for r in runs), sep='\\n')"
        command = [sys.executable, "-c", code, uri]
        found = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    lost = {f"run {number} FINISHED" for number in range(writers)} - {*found.splitlines()}
    wrong += sorted({*found.splitlines()} - {f"run {n} FINISHED" for n in range(writers)})
    return Row("first writers of a store at once", writers, sorted(lost), wrong)


STAGES = (
    ("pipeline.ingest", f"task={TASK}", "task.split.folds=null"),
    ("pipeline.featurize", f"task={TASK}"),
    ("pipeline.train", f"task={TASK}", "model=baseline"),
    ("pipeline.train", f"task={TASK}", "model=logistic_regression"),
    ("pipeline.evaluate", f"task={TASK}"),
)


def full_disk(project: Path, short: bool) -> Row:
    """Let the disk be full at some point of the stages, free it, and go on."""
    try:
        with small_disk(project.with_name("tried"), project / "conf", PAGE):
            pass
    except (OSError, subprocess.CalledProcessError):
        return Row("disks that are full: needs root on Linux", 0, [], [])
    params = "tasks: [breast_cancer]\nmodels: [baseline, logistic_regression]\n"
    (project / "params.yaml").write_text(f"{params}seed: 0\nsplit_seed: 0\n")
    # On a full disk Python itself leaves cut bytecode, with which nothing can be imported.
    must(project, "compileall", "-q", "pipeline", "hydra_plugins")
    fresh = shutil.copytree(project, project.with_name("fresh"))
    before = used(fresh)
    for stage in STAGES:
        must(project, *stage)
    expected, grown = scores(project), used(project) - before
    shares = (0.1, 0.7) if short else (0.1, 0.4, 0.7, 0.9)
    lost, wrong = [], []
    for share in shares:
        with small_disk(project.with_name("disk"), fresh, int(grown * share)) as (disk, free):
            ended = [run(disk, *stage) for stage in STAGES]
            failed = [(stage, one) for stage, one in zip(STAGES, ended, strict=True) if one.code]
            if not failed:
                wrong.append(f"{share} of the space: nothing failed")
            for stage, one in failed:
                if fault := one.fault():
                    wrong.append(f"{share} of the space: {' '.join(stage)}: {fault}")
            free()
            # What failed is run again, with what needs it.
            again = STAGES[min([STAGES.index(stage) for stage, _ in failed], default=0) :]
            late = [(stage, one) for stage in again if (one := run(disk, *stage)).code]
            for stage, one in late:
                lost.append(f"{share} of the space, then more: {' '.join(stage)}: {one.said}")
            if not late and scores(disk) != expected:
                lost.append(f"{share} of the space, then more: other scores")
    return Row("disks that are full", len(shares), lost, wrong)


def used(folder: Path) -> int:
    """Return the bytes that files take on a disk."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sum(-(-path.stat().st_size // PAGE) * PAGE for path in files)


@contextmanager
def small_disk(
    place: Path, project: Path, space: int
) -> Iterator[tuple[Path, Callable[[], object]]]:
    """Yield a copy of a project on a disk with some free bytes, and how to free more of it."""

    def mount(size: int, *options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", ",".join([*options, f"size={size}"]), "bakeoff"]
        subprocess.run([*command, str(place)], check=True)

    place.mkdir(exist_ok=True)
    # A folder takes no space of this kind of disk.
    size = used(project) + space
    mount(size)
    try:
        copy = shutil.copytree(project, place / "bakeoff")
        yield copy, lambda: mount(size + 2**30, "remount")
    finally:
        subprocess.run(["umount", str(place)], check=True)


ROWS: tuple[Callable[[Path, bool], Row], ...] = (
    random_kills,
    each_call,
    first_writers,
    store_gone,
    full_disk,
    hostile_files,
)


if __name__ == "__main__":
    main()
