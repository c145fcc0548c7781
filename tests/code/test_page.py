"""The pages that show a board, read as a browser and as a person reads them."""

import copy
import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipeline.evaluation import charts
from pipeline.evaluation.page import write_index, write_report

BOARD = Path(__file__).parents[1] / "boards" / "genre.json"
VOID = {"meta", "link", "wbr", "br", "hr", "img", "input"}
# Chart elements that the templates close by themselves.
CLOSED = {"rect", "line", "circle", "path"}


@dataclass
class Element:
    tag: str
    attributes: dict
    inside: list = field(default_factory=list)

    @property
    def text(self):
        parts = (part if isinstance(part, str) else part.text for part in self.inside)
        return re.sub(r"\s+", " ", "".join(parts)).strip()

    def all(self, tag="", **attributes):
        """Find the elements below, in the order of the page, by tag and by attributes."""
        found = []
        for part in self.inside:
            if isinstance(part, Element):
                named = part.tag == tag or not tag
                if named and attributes.items() <= part.attributes.items():
                    found.append(part)
                found += part.all(tag, **attributes)
        return found

    def one(self, tag="", **attributes):
        (found,) = self.all(tag, **attributes)
        return found


class Page(HTMLParser):
    """A tree of the elements of a page. What is closed must be what is open."""

    def __init__(self, text):
        super().__init__()
        self.open = [Element("", {})]
        self.feed(text)
        self.close()
        assert [one.tag for one in self.open] == [""]
        self.root = self.open[0]

    def handle_starttag(self, tag, attrs):
        element = Element(tag, dict(attrs))
        self.open[-1].inside.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        assert tag in CLOSED
        self.open[-1].inside.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop().tag == tag, f"</{tag}>, line {self.getpos()[0]}"

    def handle_data(self, data):
        self.open[-1].inside.append(data)


def model(score, family="classical", milliseconds=10.0, **more):
    return {
        "family": family,
        "failed": "",
        "digest": "d1",
        "run_id": "r1",
        "settings": "defaults",
        "scores": {
            "f1_macro": {"score": score, "low": score - 0.05, "high": score + 0.04},
            "log_loss": {"score": 1 - score, "low": 0.9 - score, "high": 1.2 - score},
        },
        "probability_best": 0.5,
        "costs": {
            "fit_seconds": 1.234,
            "tune_seconds": 0.0,
            "predict_ms": {"1": 0.5, "10": 0.8, "100": 2.0, "1000": milliseconds},
            "threads": 2,
            "peak_bytes": 123_000_000,
            "model_bytes": 426_000,
            "energy_joules": None,
        },
        "prices": {"fit_seconds": 1.234, "predict_ms": 2.0, "model_bytes": 426_000},
        "unbeaten": True,
        "curve": [],
        **more,
    }


def pair(first, second, difference, low, high, decision):
    return {
        "first": first,
        "second": second,
        "difference": difference,
        "low": low,
        "high": high,
        "decision": decision,
    }


@pytest.fixture
def board():
    """Three models that have scores, and one that failed."""
    return json.loads(BOARD.read_text(encoding="utf-8"))


MINIMAL = {
    "format": 2,
    "task": "small",
    "metric": "f1_macro",
    "metrics": ["f1_macro"],
    "models": {"only": {"family": "classical", "failed": "", "digest": None, "scores": {}}},
}


@pytest.fixture
def read(tmp_path):
    """Write the page of a board, and read it."""

    def written(board):
        write_report(json.loads(json.dumps(board)), tmp_path)
        return Page((tmp_path / "report.html").read_text(encoding="utf-8")).root

    return written


@pytest.fixture
def markdown(tmp_path):
    """Write the page of a board, and read its Markdown."""

    def written(board):
        write_report(json.loads(json.dumps(board)), tmp_path)
        return (tmp_path / "report.md").read_text(encoding="utf-8")

    return written


def rows(part):
    """Read the texts of the cells of the first table in a part of a page."""
    body = part.all("tbody")[0]
    return [[c.text for c in row.inside if isinstance(c, Element)] for row in body.all("tr")]


def names(page):
    return [row[0].partition(" ")[0] for row in rows(page.one("section", id="board"))]


def percent(element, name):
    return float(element.attributes[name].removesuffix("%"))


def test_the_verdict_comes_first_and_all_parts_in_their_order(read, board):
    page = read(board)

    sections = [section.attributes["id"] for section in page.one("main").all("section")]
    assert sections == [
        "verdict",
        "board",
        "price",
        "pairs",
        "learning",
        "plots",
        "slices",
        "hard",
        "controls",
        "checks",
        "provenance",
    ]
    verdict = page.one("section", id="verdict").text
    assert verdict.startswith("Take logistic_regression. It predicts 9 times as fast.")
    for fact in (
        "1,200 examples tested, in 120 groups",
        "5 rounds",
        "95% intervals",
        "looked at 3 times",
    ):
        assert fact in verdict


def test_the_words_of_the_verdict_can_be_read_without_its_numbers(read, board):
    board["verdict"]["sentences"] = [
        "Take a_model.",
        "It beats b (0.002 [-0.006, 0.011]) and c (d).",
        "Add (<b>) examples.",
    ]

    why = read(board).one("section", id="verdict").one("p", **{"class": "why"})

    assert why.text == "It beats b (0.002 [-0.006, 0.011]) and c (d). Add (<b>) examples."
    assert why.one("span", **{"class": "numbers"}).text == "(0.002 [-0.006, 0.011])"


def test_plots_show_the_models_best_first(read, board):
    answers = board["plots"][2]
    answers["rows"] = [{**answers["rows"][0], "model": name} for name in ("neural_net", "lightgbm")]

    figure = read(board).one("section", id="plots").all("figure")[-1]

    assert [title.text for title in figure.all("h4")] == ["lightgbm", "neural_net"]


def test_models_are_listed_best_first_and_those_that_failed_last_with_the_reason(read, board):
    page = read(board)

    listed = rows(page.one("section", id="board"))
    assert names(page) == ["lightgbm", "logistic_regression", "neural_net", "broken"]
    assert listed[1] == [
        "logistic_regression take defaults",
        "classical",
        "0.640 [0.590, 0.680]",
        "",
        "50%",
        "1.23",
        "10",
        "426 kB",
        "0.360 [0.260, 0.560]",
    ]
    assert "contender" in listed[0][0]
    assert listed[3][1:] == ["deep", "failed: it did not converge"]


def test_the_smallest_comes_first_where_smaller_is_better(read, board):
    board |= {"metric": "log_loss", "greater_is_better": False}

    page = read(board)

    assert names(page) == ["lightgbm", "logistic_regression", "neural_net", "broken"]
    assert "smaller is better" in page.one("header").text
    # On the chart the better ones are above all the same.
    heights = {t.text: percent(t, "y") for t in page.all("text", **{"class": "name"})}
    assert heights["lightgbm"] < heights["logistic_regression"] < heights["neural_net"]


def test_intervals_are_drawn_where_their_numbers_are(read, board):
    section = read(board).one("section", id="board")

    ticks = [
        (float(t.text), percent(t, "x"))
        for t in section.one("svg", **{"class": "strip axis"}).all("text")
    ]
    (a, at_a), (b, at_b) = ticks[0], ticks[-1]
    for row, svg in zip(rows(section), section.all("svg", **{"class": "strip"}), strict=False):
        written = [float(number) for number in re.findall(r"\d\.\d+", row[2])]
        line, dot = svg.one("line", **{"class": "whisker"}), svg.one("circle")
        drawn = [percent(dot, "cx"), percent(line, "x1"), percent(line, "x2")]
        values = [a + (at - at_a) * (b - a) / (at_b - at_a) for at in drawn]
        assert values == pytest.approx(written, abs=1e-3)


def test_a_baseline_far_off_leaves_the_others_their_room_and_is_marked_at_the_edge(read, board):
    without = copy.deepcopy(board)
    board["models"]["baseline"] = model(0.1, "baseline")

    def ends(page):
        section = page.one("section", id="board")
        return [line.attributes["x1"] for line in section.all("line", **{"class": "whisker"})]

    page = read(board)
    assert names(page)[3] == "baseline"
    assert ends(page)[:3] == ends(read(without))
    assert page.one("section", id="board").one("text", **{"class": "beyond"}).text == "◂"
    assert "baseline 0.100 ↓" in page.one("section", id="price").text


def test_pairs_are_turned_so_that_the_recommended_model_is_first(read, board):
    families, against, others = read(board).one("section", id="pairs").all("table")

    assert rows(families) == [["classical against deep", "", "0.090 [0.040, 0.140]", "better"]]
    assert against.all("th")[0].text == "logistic_regression against"
    assert rows(against) == [
        ["lightgbm", "", "-0.010 [-0.040, 0.020]", "cannot tell"],
        ["neural_net", "", "0.090 [0.040, 0.140]", "better"],
    ]
    assert rows(others) == [["lightgbm against neural_net", "", "0.100 [0.050, 0.150]", "better"]]


def test_the_margin_is_drawn_around_no_difference(read, board):
    table = read(board).one("section", id="pairs").all("table")[1]
    ticks = {float(t.text): percent(t, "x") for t in table.all("text")}
    band, zero = table.all("rect")[0], table.all("line", **{"class": "zero"})[0]

    assert percent(zero, "x1") == ticks[0]
    per_unit = (ticks[0.1] - ticks[0]) / 0.1
    assert percent(band, "width") == pytest.approx(0.02 * per_unit, abs=0.05)
    assert percent(band, "x") + percent(band, "width") / 2 == pytest.approx(ticks[0], abs=0.05)


def test_front_and_recommended_model_are_marked_on_the_chart_of_prices(read, board):
    section = read(board).one("section", id="price")

    marks = {}
    for group in section.all("g"):
        for text in group.all("text"):
            marks[text.text] = group.attributes["class"].split()
    assert marks == {
        "lightgbm": ["unbeaten"],
        "logistic_regression": ["unbeaten", "recommended"],
        "neural_net": [],
    }
    # From the cheaper one over to the better one, up to it, and on.
    assert len(section.all("line", **{"class": "front"})) == 3
    assert rows(section)[1] == [
        "logistic_regression",
        "1.23",
        "0.5",
        "0.8",
        "10",
        "123.0 MB",
        "426 kB",
    ]
    assert "Energy: unknown" in section.text


def test_costs_of_tuning_and_energy_are_told_where_there_are_some(read, board):
    tuned = board["models"]["lightgbm"]
    tuned["settings"] = "30 trials, 9.8 min"
    tuned["costs"] |= {"tune_seconds": 588.0, "energy_joules": 42.0}

    page = read(board)

    assert "tuned in 30 trials, 9.8 min" in rows(page.one("section", id="board"))[0][0]
    section = page.one("section", id="price")
    heads = [head.text for head in section.one("thead").all("th")]
    assert (heads[2], heads[-1]) == ("tune s", "energy J")
    first, second, _ = rows(section)
    assert (first[2], first[-1]) == ("588", "42")
    assert (second[2], second[-1]) == ("0.00", "unknown")
    assert "Energy: unknown" not in section.text


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"undefined": 0.12}, "0.650 [0.600, 0.690] not defined in 12% of draws"),
        ({"undefined": 0.01}, "0.650 [0.600, 0.690]"),
        (
            {"low": None, "high": None, "why": "one class only"},
            "0.650 [too few to tell] one class only",
        ),
        ({"low": None, "high": None, "why": "too few to tell"}, "0.650 [too few to tell]"),
    ],
)
def test_what_a_score_does_not_tell_is_told_below_it(read, board, more, said):
    board["models"]["lightgbm"]["scores"]["f1_macro"] |= more

    assert rows(read(board).one("section", id="board"))[0][2] == said


def test_controls_are_below_the_best_model_on_one_axis(read, board):
    section = read(board).one("section", id="controls")

    assert rows(section) == [
        ["lightgbm the best model, all inputs", "", "0.650 [0.600, 0.690]"],
        ["length of text", "", "0.440 [0.320, 0.560]"],
        ["nothing", "", "0.170 [0.140, 0.190]"],
    ]
    best, length, nothing = (percent(dot, "cx") for dot in section.all("circle"))
    assert (best - length) / (length - nothing) == pytest.approx(0.21 / 0.27, abs=2e-3)


def test_calibration_is_told_below_its_plot(read, board):
    board["plots"].insert(0, {**board["plots"][2], "name": "calibration", "title": "Calibration"})

    section = read(board).one("section", id="plots")

    assert [head.text for head in section.all("h3")][-2:] == ["Calibration", "Calibration error"]
    assert rows(section.one("div", **{"aria-label": "Calibration error"})) == [
        ["lightgbm", "0.170 [0.092, 0.247]", "0.063", "0.006", "0.463"],
        ["logistic_regression", "0.048 [0.000, 0.098]", "0.045", "0.389", "0.293"],
    ]


@pytest.mark.parametrize(("cheapest", "name"), [("fit", "seconds to fit"), ("size", "size in MB")])
def test_the_price_is_what_the_task_calls_cheap(read, board, cheapest, name):
    board["cheapest"] = cheapest

    assert name in read(board).one("section", id="price").text


def test_plots_are_drawn_by_their_form(read, board):
    section = read(board).one("section", id="plots")

    matrix = section.one("div", **{"aria-label": "Confusion on test, lightgbm"})
    assert rows(matrix) == [["a", "30", "10"], ["b", "0", "7"]]
    shares = [cell.attributes["style"] for cell in matrix.all("td")]
    assert shares == ["--share:0.75", "--share:0.25", "--share:0.0", "--share:1.0"]
    roc, answers = section.all("figure")[1:]
    assert [title.text for title in roc.all("h4")] == ["a", "b"]
    assert [button.text for button in roc.all("button")] == ["lightgbm", "neural_net"]
    assert len(roc.all("line", **{"class": "diagonal"})) == 2
    assert len(roc.all("path", **{"class": "curve k0"})) == 2
    points = answers.one("path").attributes["d"]
    assert points.count("h0") == 2  # the third has no prediction
    assert not answers.all("path", **{"class": "curve k0"})


def test_curves_show_both_parts_of_the_data(read, board):
    section = read(board).one("section", id="learning")

    assert [button.text for button in section.all("button")] == ["train", "validation"]
    assert section.one("h4").text == "neural_net"
    train, validation = [p.attributes["d"] for p in section.all("path") if "L" in p.attributes["d"]]
    # The loss falls: downwards is a greater y.
    (_, y1), (_, y2) = (at.split() for at in train.removeprefix("M").split("L"))
    assert int(y1) < int(y2)
    assert train != validation


def test_slices_and_hard_examples_are_told(read, board):
    page = read(board)

    by, further = page.one("section", id="slices").all("table")
    assert rows(by) == [["1–50 words", "40", "0.500 [0.400, 0.600]", "–", "–"]]
    assert rows(further) == [["lightgbm", "0.400 [0.300, 0.500]", "–"]]
    assert "every_page: 12,345 examples" in page.one("section", id="slices").text
    assert page.one("section", id="hard").one("li").text == (
        "novel/17 is novel; lightgbm, logistic_regression: essay; neural_net: poetry "
        "text: Call me something else"
    )


def test_warnings_are_beside_the_verdict_and_lead_to_the_check(read, board):
    page = read(board)

    (link,) = page.one("section", id="verdict").all("a")
    assert link.text == "Three texts are in train and in test."
    check = page.one("div", id=link.attributes["href"].removeprefix("#"))
    assert "warning overlap" in check.text
    assert "Group them." in check.text
    assert "Scale them." in page.one("section", id="checks").text


def test_what_repeats_it_is_told(read, board):
    section = read(board).one("section", id="provenance")

    assert (
        section.one("pre").text == "dvc repro evaluate@genre python -m pipeline.evaluate task=genre"
    )
    for part in (
        "abc123, with uncommitted changes",
        "0f0f.dir",
        "https://example.org/books.zip sha256 5e5e",
        "split 0; training 0, 1",
        "python 3.11.4",
        "cores: 2",
    ):
        assert part in section.text


def test_every_link_within_the_page_leads_somewhere(read, board):
    page = read(board)

    ids = [element.attributes["id"] for element in page.all() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    links = [link.attributes["href"] for link in page.all("a")]
    assert {link.removeprefix("#") for link in links if link.startswith("#")} <= set(ids)
    assert [link for link in links if not link.startswith("#")] == ["../index.html"]


def test_nothing_is_loaded_from_elsewhere(read, board):
    page = read(board)

    assert not page.all("img") + page.all("iframe") + page.all("object")
    assert [link.attributes["href"] for link in page.all("link")] == ["data:,"]
    assert all("src" not in element.attributes for element in page.all())
    assert "url(" not in page.one("style").text
    assert "@import" not in page.one("style").text


EVIL = "<script>alert('x')</script><img src=\"y\" onerror='z'>"


def evil(value):
    """Add markup to every text of a board but to those that the page has to know."""
    known = {"decision", "severity", "form", "family", "failed", "cheapest", "metric"}
    if isinstance(value, dict):
        return {k: v if k in known else evil(v) for k, v in value.items()}
    if isinstance(value, list):
        return [evil(one) for one in value]
    return f"{value}{EVIL}" if isinstance(value, str) and value else value


def test_markup_in_any_text_is_text(read, board, tmp_path):
    plain = read(board)
    spoilt = evil(board)
    for part in ("predicted", "scores", "models", "calibration"):
        spoilt = rename(spoilt, part)
    spoilt["metric"] += EVIL
    spoilt["metrics"] = [spoilt["metric"], f"log_loss{EVIL}"]
    spoilt["by"][0]["metric"] = spoilt["metric"]
    spoilt["plots"][1] = evil(board["plots"][1]) | {
        key: board["plots"][1][key] for key in ("form", "x", "y", "series")
    }
    for plot, before in zip(spoilt["plots"], board["plots"], strict=True):
        plot |= {key: before[key] for key in ("x", "y", "series", "value") if key in before}

    page = read(spoilt)
    write_index([spoilt, spoilt], tmp_path)
    index = Page((tmp_path / "index.html").read_text(encoding="utf-8")).root

    for one in (page, index):
        assert len(one.all("script")) == 1
        assert not one.all("img")
        assert not [e for e in one.all() if any(key.startswith("on") for key in e.attributes)]
        assert "<script>alert('x')</script>" in one.text
    # Labels of charts are elsewhere, for they are longer.
    tags = [[e.tag for e in one.all() if e.tag not in ("svg", "line")] for one in (plain, page)]
    assert tags[0] == tags[1]
    text, _, commands = (tmp_path / "report.md").read_text(encoding="utf-8").partition("```")
    assert "<" not in text
    assert commands.endswith("```\n")


def rename(value, part):
    """Add markup to the names of models and metrics where they are keys."""
    if isinstance(value, dict):
        return {
            k: {f"{name}{EVIL}": rename(v2, part) for name, v2 in v.items()}
            if k == part and isinstance(v, dict)
            else rename(v, part)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [rename(one, part) for one in value]
    return value


def test_one_model_alone_has_a_page(read, markdown, board):
    board["models"] = {"lightgbm": board["models"]["lightgbm"]}
    board["verdict"] = {
        "take": "lightgbm",
        "contenders": ["lightgbm"],
        "sentences": ["Take lightgbm: there is no other."],
    }
    board |= {"pairs": [], "families": [], "hard": [], "plots": []}

    page = read(board)

    assert names(page) == ["lightgbm"]
    assert not page.all("section", id="pairs")
    assert "Take lightgbm: there is no other." in markdown(board)


def test_when_all_fail_the_page_says_so_and_why(read, markdown, board):
    failed = board["models"]["broken"]
    board["models"] = {"broken": failed, "other": {**failed, "failed": "no | memory"}}
    board["verdict"] = {"take": None, "contenders": [], "sentences": []}
    board |= {"pairs": [], "families": [], "plots": [], "by": [], "hard": [], "slices": {}}

    page = read(board)

    assert page.one("section", id="verdict").text.startswith("No model can be taken: all failed.")
    assert [row[-1] for row in rows(page.one("section", id="board"))] == [
        "failed: it did not converge",
        "failed: no | memory",
    ]
    assert not page.all("section", id="price")
    assert r"failed: no \| memory" in markdown(board)


def test_a_score_that_is_not_defined_is_a_dash_and_comes_before_failures(read, board):
    nothing = {"score": None, "low": None, "high": None}
    board["models"]["lightgbm"]["scores"]["f1_macro"] = nothing

    page = read(board)

    assert names(page) == ["logistic_regression", "neural_net", "lightgbm", "broken"]
    assert rows(page.one("section", id="board"))[2][2] == "–"
    assert "lightgbm" not in [t.text for t in page.one("section", id="price").all("text")]


def test_a_score_without_interval_says_that_there_are_too_few(read, board):
    board["models"]["lightgbm"]["scores"]["f1_macro"] |= {"low": None, "high": None}
    board["pairs"][1] |= {"low": None, "high": None}

    page = read(board)

    assert rows(page.one("section", id="board"))[0][2] == "0.650 [too few to tell]"
    assert "0.100 [too few to tell]" in page.one("section", id="pairs").text


def test_models_that_are_all_equal_have_a_page(read, board):
    same = model(0.5)
    for score in same["scores"].values():
        score |= {"score": 0.5, "low": 0.5, "high": 0.5}
    board["models"] = {name: copy.deepcopy(same) for name in board["models"]}
    for one in board["pairs"] + board["families"]:
        one |= {"difference": 0.0, "low": 0.0, "high": 0.0, "decision": "equivalent"}

    section = read(board).one("section", id="board")

    dots = [percent(dot, "cx") for dot in section.all("circle")]
    assert dots == [50.0] * 4


def test_a_board_with_nothing_but_models_has_a_page(read, markdown, tmp_path):
    page = read(MINIMAL)

    assert [section.attributes["id"] for section in page.all("section")] == [
        "verdict",
        "board",
        "provenance",
    ]
    assert "Nothing can be said" in page.one("section", id="verdict").text
    assert rows(page.one("section", id="board"))[0] == ["only", "classical", *["–", ""], *["–"] * 4]
    assert "# small: f1_macro" in markdown(MINIMAL)
    write_index([MINIMAL], tmp_path)
    assert (
        "across" not in (tmp_path / "index.html").read_text(encoding="utf-8").partition("<main>")[2]
    )


@pytest.fixture
def large(board):
    """Ten models on a problem of many classes, with long curves."""
    models = [f"model_{number}" for number in range(10)]
    classes = [f"class {number}" for number in range(60)]
    curve = [
        {"step": step, "train/log_loss": 1 / (1 + step), "validation/log_loss": 2 / (2 + step)}
        for step in range(3000)
    ]
    board["models"] = {
        name: model(0.9 - number / 30, milliseconds=10.0 * (10 - number), curve=curve)
        for number, name in enumerate(models)
    }
    board["pairs"] = [
        pair(a, b, 0.01, -0.01, 0.03, "cannot tell")
        for number, a in enumerate(models)
        for b in models[number + 1 :]
    ]
    board["verdict"] |= {"take": "model_0", "contenders": models}
    confusion, roc, points = board["plots"]
    confusion["rows"] = [
        {"model": name, "actual": a, "predicted": b, "examples": 3}
        for name in models
        for a in classes
        for b in classes
    ]
    roc["rows"] = [
        {"model": name, "class": of, "false_positive_rate": x / 99, "true_positive_rate": x / 99}
        for name in models
        for of in classes
        for x in range(100)
    ]
    points["rows"] = [
        {"model": name, "actual": number / 7, "predicted": number / 9}
        for name in models
        for number in range(5000)
    ]
    board["hard"] = [{**board["hard"][0], "predicted": dict.fromkeys(models, "essay")}] * 500
    board["by"] = []
    return board


def test_ten_models_with_much_to_show_take_two_seconds_and_one_megabyte_at_most(
    large, tmp_path, read
):
    start = time.process_time()
    write_report(large, tmp_path)
    assert time.process_time() - start < 2

    assert (tmp_path / "report.html").stat().st_size < 1_000_000
    page = read(large)
    assert len(rows(page.one("section", id="board"))) == 10
    for said in ("the 20 most frequent of 60", "The first 12 of 60", "points are drawn of each"):
        assert said.lower() in page.one("section", id="plots").text.lower()
    assert "20 of 500" in page.one("section", id="hard").text


def test_every_row_of_a_markdown_table_has_as_many_cells_as_its_head(markdown, board):
    board["models"]["a|b"] = board["models"].pop("lightgbm")
    board = json.loads(json.dumps(board).replace('"lightgbm"', '"a|b"'))

    text = markdown(board)

    tables = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    assert len(tables) == 7
    for table in tables:
        lines = table.splitlines()
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {
            lines[0].count("|") - lines[0].count(r"\|")
        }
    assert text.startswith("# genre: f1_macro\n\n**Take logistic_regression.**")
    assert r"a\|b (contender)" in text
    assert "```console\n$ dvc repro evaluate@genre\n" in text


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("snake_case", "snake_case"),
        ("__init__", r"\_\_init\_\_"),
        ("a*b*", r"a\*b\*"),
        ("a\n| b", r"a \| b"),
        ("[x](y)", r"[x]\(y)"),
        ("a<b&c", "a&lt;b&amp;c"),
        ("don't", "don't"),
    ],
)
def test_markdown_shows_names_as_they_are(markdown, board, name, written):
    board["task"] = name

    assert markdown(board).startswith(f"# {written}: f1_macro\n")


def test_the_index_has_the_verdict_of_each_task_and_a_link_to_its_page(board, tmp_path):
    other = {**board, "task": "a task", "metric": "log_loss", "greater_is_better": False}

    write_index([board, other], tmp_path)

    page = Page((tmp_path / "index.html").read_text(encoding="utf-8")).root
    first, second = page.all("article")
    assert "Take logistic_regression. It predicts 9 times as fast." in first.text
    assert [a.attributes["href"] for a in first.all("a")] == [
        "genre/report.html",
        "genre/report.html#check-1",
    ]
    assert second.all("a")[0].attributes["href"] == "a%20task/report.html"
    assert rows(first)[1][2:] == ["0.640 [0.590, 0.680]", "1.23", "10", "426 kB"]
    across = page.one("section", id="across")
    over, scores, families = across.all("table")
    # All rank the same on both tasks. Errors are 0.35, 0.36 and 0.45.
    assert rows(over) == [
        ["lightgbm", "2", "1.00", "1.00", "0.00"],
        ["logistic_regression", "2", "0.00", "2.00", "0.03"],
        ["neural_net", "2", "0.00", "3.00", "0.22"],
    ]
    assert "from 8 tasks on" in across.text
    assert rows(scores) == [
        ["genre", "f1_macro", "0.650", "0.640", "0.550", "failed"],
        ["a task", "log_loss", "0.350", "0.360", "0.450", "failed"],
    ]
    assert rows(families)[0] == ["genre", "better: 0.090 [0.040, 0.140]"]


def test_the_index_compares_families_over_tasks(board, tmp_path):
    for name, one in board["models"].items():
        one["validation"] = {"lightgbm": 0.6, "logistic_regression": 0.7}.get(name, 0.5)

    write_index([board, {**board, "task": "other"}], tmp_path)

    page = Page((tmp_path / "index.html").read_text(encoding="utf-8")).root
    # Classical is logistic_regression, the better one on validation: errors 0.36 and 0.45.
    assert rows(page.one("div", **{"aria-label": "Over all tasks, by family"})) == [
        ["classical", "2", "1.00", "1.00", "0.00"],
        ["deep", "2", "0.00", "2.00", "0.20"],
    ]


def test_the_page_loads_nothing_heavy():
    code = "import sys, pipeline.evaluation.page; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert not {"matplotlib", "torch", "mlflow"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("scale", "texts"),
    [
        (charts.Scale(0, 1), ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (charts.Scale(0.93, 1.01), ["0.94", "0.96", "0.98", "1"]),
        (charts.Scale(0, 250_000), ["0", "50,000", "100,000", "150,000", "200,000", "250,000"]),
        (charts.Scale(0.5, 2000, log=True), ["1", "10", "100", "1,000"]),
        (charts.Scale(20, 400, log=True), ["30", "100", "300"]),
        (charts.Scale(3, 8, log=True), ["3", "4", "5", "6", "7", "8"]),
    ],
)
def test_ticks_are_round_values(scale, texts):
    assert [tick["text"] for tick in scale.ticks()] == texts


def test_a_logarithmic_axis_has_equal_steps_for_equal_factors():
    scale = charts.Scale(1, 10_000, log=True)

    assert [scale(value) for value in (1, 10, 100, 1000, 10_000)] == [0, 25, 50, 75, 100]


def test_an_axis_of_prices_that_are_zero_is_not_logarithmic():
    assert not charts.fit_scale([0.0, 1.0], log=True).log


@pytest.mark.parametrize("values", [[], [None], [0.0], [5.0, 5.0], [-3.0]])
def test_an_axis_for_few_values_has_ends(values):
    scale = charts.fit_scale(values)

    assert scale.low < scale.high
    assert scale.ticks()


def test_thinning_keeps_the_ends():
    assert charts.thin(range(1001), 5) == [0, 250, 500, 750, 1000]
    assert charts.thin([1, 2, 3], 5) == [1, 2, 3]


def test_labels_on_the_chart_of_prices_do_not_cover_each_other():
    points = [
        {
            "name": f"model_{number}",
            "family": "deep",
            "role": "",
            "price": 10.0 + number % 2,
            "score": 0.6 + number / 100,
            "low": 0.5,
            "high": 0.8,
            "unbeaten": False,
        }
        for number in range(10)
    ]
    drawn = charts.scatter(points, charts.fit_scale([0.5, 0.8], down=True))["points"]

    boxes = []
    for point in drawn:
        width = 6.6 * len(point["name"])
        x, side = point["x"] * 3, point["label"]["side"]
        left = x + 9 if side == "start" else x - 9 - width
        top = point["y"] * 3 + point["label"]["down"]
        boxes.append((left, left + width, top))
    for number, (left, right, top) in enumerate(boxes):
        for other in boxes[:number]:
            assert right <= other[0] or other[1] <= left or abs(top - other[2]) >= 14
