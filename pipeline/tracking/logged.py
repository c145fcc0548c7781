"""The code that a logged model brings: a copy of this package under a name of its own."""

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
CONSENT = "consent.py"


@contextmanager
def code(trusted: list[str], package: Path = PACKAGE) -> Iterator[Path]:
    """
    Copy the package under a name that its content decides.

    Python imports a name once per process. Were each logged model's code called the same,
    the second one to be loaded would be answered by the first one's code. Copies of equal
    content share a name, and so are imported once.

    Parameters
    ----------
    trusted : list of str
        Types of other packages that the model may be made of, written into its copy of
        ``consent.py``.
    package : Path, default=this package
        What to copy.

    Yields
    ------
    Path
        The folder of the copy, which is removed in the end.
    """
    sources = {
        path.relative_to(package): path.read_text(encoding="utf-8")
        for path in sorted(package.rglob("*.py"))
    }
    consent = Path(CONSENT)
    sources[consent] = f"{sources[consent]}\nTRUSTED = {trusted!r}\n"
    content = hashlib.sha256(repr(sorted(sources.items())).encode())
    name = f"bakeoff_{content.hexdigest()[:16]}"
    with tempfile.TemporaryDirectory() as folder:
        for path, source in sources.items():
            copy = Path(folder, name, path)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(renamed(source, package.name, name), encoding="utf-8")
        yield Path(folder, name)


def renamed(source: str, before: str, after: str) -> str:
    """Rename a package in the import statements of a module."""
    # `import a.b` binds `a`, which the code that follows goes on to use.
    source = re.sub(
        rf"^([ \t]*)import {before}((?:\.\w+)*)[ \t]*$",
        rf"\1import {after}\2; {before} = {after}",
        source,
        flags=re.MULTILINE,
    )
    return re.sub(
        rf"^([ \t]*(?:from|import) ){before}\b", rf"\1{after}", source, flags=re.MULTILINE
    )
