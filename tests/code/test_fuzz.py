"""Tables and edits of the configuration that nobody thought of: a result that holds, or a line."""

import copy
import csv
import io
import random
import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import compose, featurize, files, ingest, paths
from pipeline.config import composition, conf, messages
from pipeline.errors import UserError
from pipeline.files import read_json
from pipeline.paths import CONF, PARAMS

# The same examples each time; for a search, raise the numbers and set derandomize=False.
ALWAYS = settings(
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
CELLS = [
    ["1", "2", "3"],
    ["1.5", "-2e3", "1e308", "-1e-320"],
    ["1,234", "1.234", "1'000"],
    ["nan", "inf", "-inf", "1"],
    ["0", "1"],
    ["", "NA", "None", "x"],
    ["", " "],
    ["2024-12-31", "31/12/2024", "9999-12-31"],
    ["2024-12-31T10:00:00Z", "2024-12-31 10:00:00+02:00"],
    ["true", "FALSE", "yes", ""],
    ["a\nb", 'say "no"', "a,b;c\td|e"],
    ["é", "😀", "\u202e", "\x00", "\ufeff"],
    ["yes", "Yes", "yes "],
    ["99999999999999999999", "0x1f", "1_000", "012"],
    ["$1.50", "45%", "3 kg"],
    ["word " * 30, "other words " * 20],
]
NAMES = [
    "size",
    "label_",
    "example_id",
    "group",
    "",
    " ",
    "a b",
    "1",
    "é",
    "meta:x",
    "[x]",
    "x" * 300,
]
LABELS = [
    ["x", "y"],
    ["x"],
    ["1", "0"],
    ["a", "b", "c"],
    ["x", "y", ""],
    ["yes", "Yes"],
    ["é", "C++"],
]


@st.composite
def tables(draw):
    """Draw the bytes of a CSV file, its encoding, and its labels."""
    rows = draw(st.sampled_from([0, 1, 7, 40, 60, 90]))
    chance = random.Random(draw(st.integers(0, 2**16)))
    names = draw(st.lists(st.sampled_from(NAMES) | st.text(max_size=8), min_size=1, max_size=5))
    pools = [
        [f"{chance.uniform(-9, 9)}" for _ in range(rows)]
        if draw(st.booleans())
        else draw(st.sampled_from(CELLS)) + draw(st.lists(st.text(max_size=6), max_size=2))
        for _ in names
    ]
    classes = draw(st.sampled_from(LABELS))
    labels = [chance.choice(classes) for _ in range(rows)]
    content = io.StringIO(newline="")
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    writer = csv.writer(
        content,
        delimiter=draw(st.sampled_from([",", ";", "\t", "|"])),
        quoting=quoting,
        lineterminator=draw(st.sampled_from(["\n", "\r\n"])),
    )
    writer.writerow([*names, "label"])
    for label in labels:
        writer.writerow([*(chance.choice(pool or [""]) for pool in pools), label])
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "latin-1", "utf-16"]))
    written = content.getvalue().encode(encoding, errors="replace")
    cut = draw(st.sampled_from([None, None, None, len(written) // 2]))
    return written[:cut], encoding, None if cut is not None else labels


@pytest.fixture
def own_project(tmp_path, monkeypatch):
    for module in (paths, files):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def stages():
    """Return the settings of ingest and featurize for a table, with one round."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        found = []
        for stage in ("ingest", "featurize"):
            composition.register(stage)
            found.append(
                composition.compose_settings(stage, ["task=table", "task.split.folds=null"])
            )
    return found


def left(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


@settings(ALWAYS, max_examples=150)
@given(drawn=tables(), with_encoding=st.booleans())
def test_a_table_is_ingested_whole_or_refused_with_a_reason(
    own_project, stages, drawn, with_encoding
):
    content, encoding, labels = drawn
    for child in own_project.iterdir():
        shutil.rmtree(child) if child.is_dir() else child.unlink()
    (own_project / "mine.csv").write_bytes(content)
    to_ingest, to_featurize = copy.deepcopy(stages)
    to_ingest.task.source |= {
        "path": str(own_project / "mine.csv"),
        "encoding": encoding if with_encoding else "utf-8",
    }
    try:
        ingest.main(to_ingest)
    except UserError as error:
        assert str(error)
        assert left(own_project) == {"mine.csv"}
        return
    folder = paths.ingested_folder("table")
    card = read_json(folder / "card.json")
    parts = [*card["rounds"]["0"].values()]
    found = Counter()
    for part in parts:
        found.update(part["classes"])
    if labels is not None:
        there = Counter(label.strip() for label in labels)
        assert sum(part["examples"] for part in parts) + sum(card["dropped"].values()) == len(
            labels
        )
        assert all(found[label] <= there[label] for label in found)
        assert card["dropped"] or found == there
    files_of = [pd.read_parquet(folder / f"{name}.parquet") for name in ("examples", "test")]
    assert sum(map(len, files_of)) == found.total()
    ingested = left(own_project)
    try:
        featurize.main(to_featurize)
    except UserError as error:
        assert str(error)
        assert left(own_project) == ingested
        return
    new = left(own_project) - ingested
    assert new
    assert all(name.startswith("data/features/table/") for name in new)


VALUES = [
    *("", "null", "[]", "{}", "[a]", "{a: b}", "3", "-1", "1e400", ".nan", "9" * 30, "true", "'"),
    *('"', "é", "\t", "${nosuch}", "${", "!!python/name:os.system", "&a", "*a", "2024-01-01"),
    *("- a", "? [a]", "|", "@", "%", "a: b: c", "1e-3", "???", "../x", "x" * 300, "\x07"),
]
EDITED = [
    "conf/task/genre.yaml",
    "conf/task/base/common.yaml",
    "conf/model/logistic_regression.yaml",
    "params.yaml",
]
WAYS = ["delete", "twice", "key", "value", "tab", "indent", "insert", "cut", "swap"]


@st.composite
def edits(draw):
    """Draw a file, and a function from its lines to other ones."""
    number = draw(st.integers(0, 200))
    value = draw(st.sampled_from(VALUES) | st.text(max_size=5))
    what = draw(st.sampled_from(WAYS))

    def edit(lines: list[str]) -> list[str]:
        codes = [n for n, line in enumerate(lines) if line.strip() and not line.startswith("#")]
        place = codes[number % len(codes)]
        line = lines[place]
        key, colon, _ = line.partition(":")
        indent = line[: len(line) - len(line.lstrip())]
        changed = {
            "delete": [],
            "twice": [line, line],
            "key": [f"{indent}{value}{line.strip()[1:]}"],
            "value": [f"{key}{colon} {value}"],
            "tab": [f"\t{line}"],
            "indent": [f" {line}"],
            "insert": [line, f"{indent}{value}: {value}"],
            "cut": [line[: len(line) // 2]],
            "swap": [f"{indent}{value}"],
        }[what]
        rest = [] if what == "cut" else lines[place + 1 :]
        return [*lines[:place], *changed, *rest]

    return draw(st.sampled_from(EDITED)), edit


@pytest.fixture
def own_conf(tmp_path, monkeypatch):
    shutil.copytree(CONF, tmp_path / "conf")
    shutil.copyfile(PARAMS, tmp_path / "params.yaml")
    for module in (paths, conf, composition, compose, messages):
        monkeypatch.setattr(module, "CONF", tmp_path / "conf")
    monkeypatch.setattr(paths, "PARAMS", tmp_path / "params.yaml")
    monkeypatch.setattr(ConfigStore.instance(), "repo", copy.deepcopy(ConfigStore.instance().repo))
    return tmp_path


@settings(ALWAYS, max_examples=40)
@given(drawn=edits())
def test_an_edited_configuration_composes_or_is_refused_with_a_reason(own_conf, drawn):
    name, edit = drawn
    target = own_conf / name
    before = target.read_text(encoding="utf-8")
    after = "\n".join([*edit(before.splitlines()), ""])
    target.write_text(after, encoding="utf-8", errors="replace")
    try:
        conf.params()
        documents = compose.compose(["genre"], ["logistic_regression"])
    except UserError as error:
        assert 0 < len(str(error).splitlines()) <= 2
        assert "raised while composing" not in str(error)
    else:
        assert len(documents) == 5
        for document in documents.values():
            assert yaml.safe_load(conf.to_yaml(document)).keys() == document.keys()
    finally:
        target.write_text(before, encoding="utf-8")
