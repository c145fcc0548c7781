"""The code of a logged model: a copy of this package under a name of its own."""

import hashlib
import os
import re
import shutil
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
CONSENT = "consent.py"


def copy_package(target: Path, trusted: list[str], package: Path = PACKAGE) -> str:
    """
    Copy the package under a name that is derived from its content.

    Python imports a name once per process. If the code of all logged models had one name, the
    second model to be loaded would run the code of the first one. Copies of equal content
    share a name, and so are imported once.

    Parameters
    ----------
    target : Path
        The folder to copy the folder of the package to.
    trusted : list of str
        Types of other packages that the model may load. They are written into the copy of
        ``consent.py``.
    package : Path, default=this package
        The folder of the package to copy.

    Returns
    -------
    str
        The name of the copy.
    """
    sources = {
        path.relative_to(package): path.read_text(encoding="utf-8")
        for path in sorted(package.rglob("*.py"))
    }
    consent = Path(CONSENT)
    sources[consent] = f"{sources[consent]}\nTRUSTED = {trusted!r}\n"
    content = hashlib.sha256(repr(sorted(sources.items())).encode())
    name = f"bakeoff_{content.hexdigest()[:16]}"
    for path, source in sources.items():
        copy = target / name / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(rename_imports(source, package.name, name), encoding="utf-8")
    return name


def copy_model(folder: Path, target: Path) -> None:
    """
    Copy the files of a trained model, without the models of the rounds.

    Files are linked where the disk allows it: they are replaced, never changed.
    """
    without_rounds = shutil.ignore_patterns("rounds")
    shutil.copytree(folder, target, ignore=without_rounds, copy_function=_link)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copy2(source, target)


def rename_imports(source: str, before: str, after: str) -> str:
    """Return the source of a module with a package renamed in its import statements."""
    # `import a.b` binds `a`, which the code below the import uses.
    source = re.sub(
        rf"^([ \t]*)import {before}((?:\.\w+)*)[ \t]*$",
        rf"\1import {after}\2; {before} = {after}",
        source,
        flags=re.MULTILINE,
    )
    return re.sub(
        rf"^([ \t]*(?:from|import) ){before}\b", rf"\1{after}", source, flags=re.MULTILINE
    )
