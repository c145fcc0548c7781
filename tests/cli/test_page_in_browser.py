"""The pages in a real browser, as a person opens, reads, sorts and prints them."""

import fcntl
import json
import os
import select
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.evaluation.page import write_index, write_report

BOARD = Path(__file__).parents[1] / "boards" / "genre.json"
NAMES = ("chromium", "chromium-browser", "google-chrome")
PROGRAM = next(filter(None, map(shutil.which, NAMES)), None)
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --remote-debugging-pipe"
)
PATIENCE = 60  # seconds
SIZES = [(1280, 800), (390, 844)]
SCHEMES = ["light", "dark"]


class Browser:
    """
    A headless Chromium with one tab, driven by its DevTools protocol over a pipe.

    ``events`` are what it told since the page was opened.
    """

    def __init__(self, folder):
        (told, self.to), (self.origin, tell) = os.pipe(), os.pipe()
        # The protocol is at descriptors 3 and 4. Those of here must not be in the way.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (told, tell)]

        def wire():
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self.process = subprocess.Popen(
            [PROGRAM, *OPTIONS.split(), f"--user-data-dir={folder}", "about:blank"],
            close_fds=False,
            preexec_fn=wire,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (told, tell, *ends):
            os.close(end)
        self.rest, self.number, self.session, self.events = b"", 0, {}, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self):
        self.session = {}
        self.call("Browser.close")
        self.process.wait(PATIENCE)
        os.close(self.to)
        os.close(self.origin)

    def hear(self):
        while b"\0" not in self.rest:
            assert select.select([self.origin], [], [], PATIENCE)[0], "the browser says nothing"
            part = os.read(self.origin, 1 << 20)
            assert part, "the browser has ended"
            self.rest += part
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters, **self.session}
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while (answer := self.hear()).get("id") != self.number:
            self.events.append(answer)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def open(self, page, size=SIZES[0], scheme="light", medium="screen"):
        width, height = size
        shape = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **shape)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=medium, features=features)
        self.events = []
        self.call("Page.navigate", url=page.as_uri())
        while not self.told("Page.loadEventFired"):
            self.events.append(self.hear())

    def told(self, *methods):
        return [event["params"] for event in self.events if event.get("method") in methods]

    def ask(self, program):
        """Return the value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=program, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key, code, text=""):
        named = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **named)
        self.call("Input.dispatchKeyEvent", type="keyUp", **named)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if PROGRAM is None:
        pytest.skip(f"needs a browser: {', '.join(NAMES)}")
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def board():
    """A board whose verdict and warnings are as long as they come."""
    board = json.loads(BOARD.read_text(encoding="utf-8"))
    board["verdict"]["sentences"] = [
        "Take logistic_regression.",
        "It cannot be told apart from lightgbm (0.002 [-0.006, 0.011]) and predicts 9 times as "
        "fast.",
        "Classical models beat deep ones by 0.051 [0.039, 0.063].",
        "About 1,400 more examples would separate the first two.",
    ]
    board["checks"].append({**board["checks"][0], "severity": "error"})
    return board


@pytest.fixture(scope="module")
def pages(board, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    write_report(board, folder / "genre")
    write_index([board, {**board, "task": "other"}], folder)
    return {"report": folder / "genre" / "report.html", "index": folder / "index.html"}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["report", "index"])
def test_the_verdict_is_seen_without_scrolling_and_nothing_is_loaded(
    browser, pages, name, size, scheme
):
    browser.open(pages[name], size, scheme)

    requests = [event["request"]["url"] for event in browser.told("Network.requestWillBeSent")]
    assert [url for url in requests if not url.startswith("data:")] == [pages[name].as_uri()]
    assert not browser.told("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
    for part in (".take", ".why", ".alerts"):
        place = browser.ask(
            f"document.querySelector('.verdict {part}').getBoundingClientRect().toJSON()"
        )
        assert 0 <= place["top"] < place["bottom"] <= size[1]
        assert 0 <= place["left"] < place["right"] <= size[0]
    page = "document.documentElement"
    assert browser.ask(f"{page}.scrollWidth === {page}.clientWidth")


# The contrast of each text with what is behind it (WCAG 2.1, 1.4.3), and that of each line of a
# chart with the page (1.4.11). A canvas turns any colour of CSS into numbers.
CONTRASTS = """
(() => {
  for (const part of document.querySelectorAll("details")) part.open = true;
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const over = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map(
      (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (behind, colour) => {
    const [a, b] = [luminance(over(behind)), luminance(over([...behind, colour]))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const behind = (element) => {
    const colours = [];
    for (let one = element; one; one = one.parentElement)
      colours.unshift(getComputedStyle(one).backgroundColor);
    return ["white", ...colours];
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.data.trim(), element = walk.currentNode.parentElement;
    if (!text || ["SCRIPT", "STYLE"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    if (!element.getClientRects().length || style.visibility === "hidden") continue;
    const colour = element instanceof SVGElement ? style.fill : style.color;
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    found.push([text, ratio(behind(element), colour), large ? 3 : 4.5]);
  }
  for (const line of document.querySelectorAll(".curve, .dots, .whisker, .front")) {
    const colour = getComputedStyle(line).stroke;
    found.push([line.outerHTML, ratio(behind(line), colour), 3]);
  }
  return found;
})()
"""


@pytest.mark.parametrize("medium", ["screen", "print"])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["report", "index"])
def test_texts_and_lines_have_the_contrast_of_wcag_aa(browser, pages, name, scheme, medium):
    browser.open(pages[name], scheme=scheme, medium=medium)

    found = browser.ask(CONTRASTS)

    assert len(found) > 100
    assert [one for one in found if one[1] < one[2]] == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_colours_of_ten_models_have_the_contrast_of_wcag_aa(
    browser, pages, board, tmp_path, scheme
):
    roc = board["plots"][1]
    rows = [{**roc["rows"][0], "model": f"model_{number}"} for number in range(10)]
    write_report({**board, "plots": [{**roc, "rows": rows}]}, tmp_path)

    browser.open(tmp_path / "report.html", scheme=scheme)

    lines = [one for one in browser.ask(CONTRASTS) if "dots k" in one[0]]
    assert len({line[0].partition("k")[2][0] for line in lines}) == 10
    assert [one for one in lines if one[1] < one[2]] == []


LISTED = "[...document.querySelectorAll('#board tbody th')].map((th) => th.dataset.value)"


def test_the_board_is_sorted_by_keyboard(browser, pages):
    browser.open(pages["report"])
    best = ["lightgbm", "logistic_regression", "neural_net", "broken"]
    assert browser.ask(LISTED) == best

    browser.press("Tab", 9)
    assert browser.ask("document.activeElement.textContent") == "To the verdict"
    browser.ask(
        "[...document.querySelectorAll('#board button')]"
        ".find((one) => one.textContent === 'ms/100').focus()"
    )
    browser.press("Enter", 13, "\r")
    assert browser.ask(LISTED) == ["logistic_regression", "lightgbm", "neural_net", "broken"]
    head = "document.activeElement.closest('th').ariaSort"
    assert browser.ask(head) == "ascending"
    browser.press("Enter", 13, "\r")
    # What failed stays at the end.
    assert browser.ask(LISTED) == ["neural_net", "lightgbm", "logistic_regression", "broken"]
    assert browser.ask(head) == "descending"
    assert browser.ask("document.querySelectorAll('#board [aria-sort]').length") == 1


def test_wide_tables_scroll_by_themselves_and_by_keyboard(browser, pages):
    browser.open(pages["report"], SIZES[1])

    wide = browser.ask(
        "[...document.querySelectorAll('.wide')].filter((one) => one.scrollWidth > one.clientWidth)"
        ".map((one) => [one.tabIndex, one.role, getComputedStyle(one).overflowX])"
    )
    assert wide
    assert {tuple(one) for one in wide} == {(0, "region", "auto")}


def test_a_line_of_a_plot_can_be_hidden(browser, pages):
    browser.open(pages["report"])
    shown = (
        "[...document.querySelectorAll('#learning [data-line]')]"
        ".map((one) => getComputedStyle(one).visibility)"
    )
    assert browser.ask(shown) == ["visible", "visible"]

    browser.ask("document.querySelector('#learning .key button').click()")
    assert browser.ask(shown) == ["hidden", "visible"]
    browser.ask("document.querySelector('#learning .key button').click()")
    assert browser.ask(shown) == ["visible", "visible"]


def test_on_paper_everything_is_open_and_on_white(browser, pages):
    browser.open(pages["report"], scheme="dark")

    browser.call("Page.printToPDF")

    assert browser.ask("[...document.querySelectorAll('details')].every((one) => one.open)")
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.ask("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert browser.ask("getComputedStyle(document.querySelector('.wide')).overflowX") == "visible"


def test_markup_in_a_name_is_shown_and_not_run(browser, board, tmp_path):
    name = "<img src=x onerror=console.error(1)><script>console.error(2)</script>"
    text = json.dumps(board).replace("lightgbm", name)
    write_report(json.loads(text), tmp_path)

    browser.open(tmp_path / "report.html")

    assert browser.ask(LISTED)[0] == name
    assert browser.ask("document.images.length") == 0
    assert not browser.told("Runtime.consoleAPICalled", "Log.entryAdded")
