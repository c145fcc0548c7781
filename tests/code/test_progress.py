"""Progress: a live bar on a terminal, a plain line now and then elsewhere."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from pipeline import progress


@pytest.fixture
def written(monkeypatch):
    """Let the module write to a file, as when its output is piped."""
    out = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=out, force_terminal=False, width=120))
    return out


@pytest.fixture
def shown(monkeypatch):
    """Let the module write to a terminal."""
    out = io.StringIO()
    terminal = Console(file=out, force_terminal=True, width=120, _environ={})
    monkeypatch.setattr(progress, "console", terminal)
    return out


def test_square_brackets_are_printed_as_they_are(capsys):
    progress.console.print("it's [a] {b}: 0.167 [too few to tell]")

    assert capsys.readouterr().out == "it's [a] {b}: 0.167 [too few to tell]\n"


def test_track_yields_every_item_in_order(written):
    assert list(progress.track(iter("abc"), "reading", 3)) == ["a", "b", "c"]


def test_short_work_without_a_terminal_prints_nothing(written):
    list(progress.track(range(1000), "reading", 1000))

    assert written.getvalue() == ""


def test_long_work_without_a_terminal_prints_plain_lines(written, monkeypatch):
    monkeypatch.setattr(progress, "PLAIN_EVERY_SECONDS", 0.0)

    with progress.Bar("genre lightgbm", 500) as bar:
        bar.step(20, "validation 0.412")
        bar.step(40)

    assert written.getvalue() == "genre lightgbm 20/500 validation 0.412\ngenre lightgbm 40/500\n"


def test_plain_lines_are_printed_every_ten_seconds_at_most(written, monkeypatch):
    clock = iter([0.0, 4.0, 11.0, 12.0, 22.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))

    with progress.Bar("fitting") as bar:
        for done in (1, 2, 3, 4):
            bar.step(done)

    # At 4 s too early, at 11 s printed, at 12 s too early, at 22 s printed.
    assert written.getvalue() == "fitting 2\nfitting 4\n"


def test_a_terminal_shows_the_bar_with_its_note(shown):
    with progress.Bar("genre lightgbm", 500) as bar:
        bar.step(20, "validation 0.412")
        bar.live.refresh()

    for part in ("genre lightgbm", "20/500", "validation 0.412"):
        assert part in shown.getvalue()


def test_a_bar_within_another_is_shown_below_it(shown):
    with progress.Bar("titanic", 9) as whole:
        whole.step(4, "train model=lightgbm")
        with progress.Bar("titanic lightgbm", 500) as bar:
            bar.step(20, "validation 0.412")
            whole.live.refresh()
        whole.live.refresh()

    *_, both, after, _ = shown.getvalue().split("4/9")
    assert "train model=lightgbm" in both
    assert both.index("\n") < both.index("titanic lightgbm") < both.index("20/500")
    assert "20/500" not in after


def test_a_bar_prints_no_lines_where_others_do(written, monkeypatch):
    monkeypatch.setattr(progress, "PLAIN_EVERY_SECONDS", 0.0)

    with progress.Bar("titanic", 9, plain=False) as bar:
        bar.step(4, "train model=lightgbm")

    assert written.getvalue() == ""


def test_an_error_goes_through_the_bar(written):
    with pytest.raises(ValueError, match="bad"), progress.Bar("fitting"):
        raise ValueError("bad")
