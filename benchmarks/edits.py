"""
Edit the files of a trained model as chance and strangers do.

A stranger can also write the manifest anew, so that the hashes in it fit the edited file.
"""

import hashlib
import io
import json
import pickle
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

MANIFEST, EVIL = "bundle.json", "evil.yaml"
# A file of 2 GiB of zeros is compressed to 9 MB.
BOMB, MEBIBYTE = 2048, 2**20
DEEP = 100_000
NUMBERS = (-1, 0, 3, -(2**31), 2**31 - 1, 2**40, 2**63, -1e308, 1e308, float("nan"))


class Stranger(NamedTuple):
    """
    Who edits, and what the edits may point at.

    Attributes
    ----------
    random : Random
        Decides what is edited, and how.
    pipe : Path
        A named pipe that nobody writes to: opening it lasts for ever.
    sprung : Path
        A folder that code makes when it is run.
    module : str
        A module that can be imported, and makes that folder when it is.
    """

    random: Random
    pipe: Path
    sprung: Path
    module: str


class Trap:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.mkdir, (self.sprung,)


def edit(folder: Path, stranger: Stranger) -> str:
    """
    Edit one file of a model, and make the manifest fit.

    Parameters
    ----------
    folder : Path
        The folder of the model.
    stranger : Stranger
        Who edits.

    Returns
    -------
    str
        What was done.
    """
    file = stranger.random.choice(sorted(path for path in folder.iterdir() if path.is_file()))
    content, done = change(file.name, file.read_bytes(), stranger)
    file.write_bytes(content)
    # Whoever may write a model's name may also bring a file that it could lead to.
    (folder / EVIL).write_text(f"trusted: [{stranger.module}.Trap, os.mkdir, builtins.eval]\n")
    if file.name != MANIFEST:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        manifest["files"][file.name] = hashlib.sha256(content).hexdigest()
        if stranger.random.random() < 0.2:
            manifest["model"] = f"../../{folder.relative_to(Path.cwd())}/{Path(EVIL).stem}"
        (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return f"{file.name}: {done}"


def change(name: str, content: bytes, stranger: Stranger) -> tuple[bytes, str]:
    """Return an edited content of a file of some name, and what was done."""
    blind = [flip, cut, insert, unpickle]
    of_format = BY_SUFFIX.get("schema" if name == "schema.json" else Path(name).suffix, [])
    # Most edits that know nothing of a format are refused as soon as it is read.
    known = of_format and stranger.random.random() < 0.7
    return stranger.random.choice(of_format if known else blind)(content, stranger)


def flip(content: bytes, stranger: Stranger) -> tuple[bytes, str]:
    """Flip a few bits."""
    edited = bytearray(content)
    places = [
        stranger.random.randrange(len(content)) for _ in range(stranger.random.choice([1, 3, 30]))
    ]
    for place in places:
        edited[place] ^= 1 << stranger.random.randrange(8)
    return bytes(edited), f"bits flipped in bytes {places}"


def cut(content: bytes, stranger: Stranger) -> tuple[bytes, str]:
    """Keep the beginning."""
    length = stranger.random.randrange(len(content))
    return content[:length], f"cut after {length} of {len(content)} bytes"


def insert(content: bytes, stranger: Stranger) -> tuple[bytes, str]:
    """Insert other bytes."""
    place, bytes_ = (
        stranger.random.randrange(len(content)),
        stranger.random.randbytes(stranger.random.choice([1, 8, 1000])),
    )
    return content[:place] + bytes_ + content[place:], f"{len(bytes_)} bytes more at {place}"


def unpickle(content: bytes, stranger: Stranger) -> tuple[bytes, str]:
    """Return a pickle that runs code."""
    done = f"a pickle with code instead of {len(content)} bytes"
    return pickle.dumps(Trap(stranger.sprung)), done


def change_json(content: bytes, stranger: Stranger) -> tuple[bytes, str]:
    """Replace or remove a value."""
    if stranger.random.random() < 0.05:
        return b"[" * DEEP + b"]" * DEEP, f"{DEEP} lists in one another"
    value = json.loads(content)
    holder, key = stranger.random.choice([*places_in(value)])
    if stranger.random.random() < 0.15:
        del holder[key]
        return json.dumps(value).encode(), f"{key!r} removed"
    names = (
        f"{stranger.module}.Trap",
        "os.mkdir",
        str(stranger.pipe),
        f"../../../..{stranger.pipe}",
        "",
    )
    holder[key] = stranger.random.choice(
        [*NUMBERS, *names, *names, None, True, [], {}, [[1]], "a" * 10**6]
    )
    return json.dumps(value).encode(), f"{key!r} set to {str(holder[key])[:60]!r}"


def places_in(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container in a JSON value with each of its keys."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
        yield value, key
        if isinstance(inner, dict | list):
            yield from places_in(inner)


def change_schema(content: bytes, stranger: Stranger) -> tuple[bytes, str]:
    """Name another type or loader in a node of skops, or another file."""
    value = json.loads(content)
    nodes = [
        inner for holder, key in places_in(value) if "__class__" in (inner := as_dict(holder[key]))
    ]
    node = stranger.random.choice(nodes)
    loaders = ("Object", "Function", "Method", "Type", "Partial", "Reduce", "OperatorFunc", "Json")
    chosen = stranger.random.choice(
        [
            {"__module__": stranger.module, "__class__": "Trap"},
            {"__module__": "os", "__class__": "mkdir", "__loader__": "FunctionNode"},
            {"__module__": "builtins", "__class__": "eval", "__loader__": "FunctionNode"},
            {"__loader__": f"{stranger.random.choice(loaders)}Node"},
            {"file": str(stranger.pipe)},
            {"__id__": stranger.random.choice(nodes).get("__id__")},
            {"content": stranger.random.choice(nodes)},
        ]
    )
    node.update(chosen)
    return json.dumps(value).encode(), f"a node with {str(chosen)[:120]}"


def as_dict(value: Any) -> dict[str, Any]:
    """Return a value if it is a dict, otherwise an empty one."""
    return value if isinstance(value, dict) else {}


def change_array(content: bytes, stranger: Stranger) -> tuple[bytes, str]:
    """Change the header of an array of NumPy, or a number in the array."""
    start = 10 + int.from_bytes(content[8:10], "little")
    header, body = content[10:start].decode("latin-1"), bytearray(content[start:])
    if not body or stranger.random.random() < 0.4:
        shape = stranger.random.choice(
            ["(1099511627776,)", "(3,)", "(-1,)", "()", "(2, 0)", "(536870912,)"]
        )
        old, new = stranger.random.choice(
            [
                (r"'shape': \(.*?\)", f"'shape': {shape}"),
                (r"'descr': ('.*?'|\[.*\])", "'descr': '|O'"),
                (r"'descr': ('.*?'|\[.*\])", "'descr': '<i8'"),
                (r"'fortran_order': False", "'fortran_order': True"),
            ]
        )
        header = re.sub(old, new, header.rstrip()) + "\n"
        if "'|O'" in header:
            body = bytearray(unpickle(b"", stranger)[0])
        size = len(header).to_bytes(2, "little")
        return content[:8] + size + header.encode("latin-1") + bytes(body), f"header {new}"
    width = stranger.random.choice([4, 8])
    place = stranger.random.randrange(max(1, len(body) // width)) * width
    number = int(stranger.random.choice([n for n in NUMBERS if isinstance(n, int)]))
    body[place : place + width] = (number % 2 ** (8 * width)).to_bytes(width, "little")
    return content[:start] + bytes(body), f"{number} as {width} bytes at {place}"


def change_archive(content: bytes, stranger: Stranger) -> tuple[bytes, str]:
    """Change, replace, rename or double a file in a zip archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = stranger.random.choice(["schema.json"] * ("schema.json" in parts) + [*parts])
    what = stranger.random.choice(["change"] * 12 + ["bomb", "move", "double"])
    done = f"{name}: {what}"
    edited = io.BytesIO()
    with zipfile.ZipFile(edited, "w") as archive:
        for one, part in parts.items():
            if one != name:
                archive.writestr(one, part)
        if what == "bomb":
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as file:
                for _ in range(BOMB):
                    file.write(bytes(MEBIBYTE))
        elif what == "move":
            archive.writestr(f"../../../..{stranger.sprung}", parts[name])
        elif what == "double":
            other = stranger.random.choice([*parts])
            archive.writestr(name, parts[other])
            done += f" {other}"
        else:
            part, how = change(name, parts[name], stranger)
            archive.writestr(name, part)
            done = f"{name}: {how}"
    return edited.getvalue(), done


def change_text(content: bytes, stranger: Stranger) -> tuple[bytes, str]:
    """Change a number or a line of a text."""
    lines = content.decode().splitlines(keepends=True)
    number = stranger.random.randrange(len(lines))
    what = stranger.random.choice(["number"] * 6 + ["drop", "double", "path", "long"])
    if what == "number":
        numbered = [n for n, line in enumerate(lines) if re.search(r"=.*\d", line)]
        number = stranger.random.choice(numbered)
        found = stranger.random.choice([*re.finditer(r"-?\d+(\.\d+)?(e-?\d+)?", lines[number])])
        new = str(stranger.random.choice(NUMBERS))
        lines[number] = lines[number][: found.start()] + new + lines[number][found.end() :]
        what = f"{found[0]} is {new}"
    elif what == "drop":
        del lines[number]
    elif what == "double":
        lines.insert(number, lines[number])
    elif what == "path":
        key = stranger.random.choice(
            ["data", "input_model", "forcedsplits_filename", "machine_list_file"]
        )
        lines.insert(number, f"[{key}: {stranger.pipe}]\n{key}={stranger.pipe}\n")
    else:
        lines.insert(number, "9" * MEBIBYTE + "\n")
    return "".join(lines).encode(), f"line {number}: {what}"


def change_safetensors(content: bytes, stranger: Stranger) -> tuple[bytes, str]:
    """Change the header of a file of safetensors."""
    end = 8 + int.from_bytes(content[:8], "little")
    header, done = change_json(content[8:end], stranger)
    return len(header).to_bytes(8, "little") + header + content[end:], done


BY_SUFFIX = {
    "schema": [change_json, change_schema],
    ".json": [change_json],
    ".npy": [change_array],
    ".npz": [change_archive],
    ".safetensors": [change_safetensors],
    ".skops": [change_archive],
    ".txt": [change_text],
}
