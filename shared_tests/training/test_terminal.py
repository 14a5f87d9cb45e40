"""What a person sees: as much as the terminal can show, and plain lines where that is little."""

import re
import sys

import pytest

from pure_python.training import cli
from pure_python.training.terminal import draws, show_table

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="terminals as POSIX has them")

RUN = ["train", "moons", "--no-out", "--samples=20", "--epochs=2", "--hidden=4"]
ESCAPE = re.compile("\x1b\\[([0-9;?]*)([a-zA-Z])")


def colours(text):
    """The codes in a text that set a colour: bold and faint set none."""
    codes = [
        int(n) for codes, kind in ESCAPE.findall(text) if kind == "m" for n in codes.split(";")
    ]
    return [code for code in codes if 30 <= code <= 49 or 90 <= code <= 107]


def test_colours_on_a_terminal_and_none_where_nobody_wants_them(terminal, monkeypatch):
    with terminal() as shown:
        assert cli.main("pure_python", RUN) == 0
    assert colours(shown[0]) and "┌──" in shown[0]
    monkeypatch.setenv("NO_COLOR", "1")
    with terminal() as shown:
        assert cli.main("pure_python", RUN) == 0
    assert not colours(shown[0]) and "┌──" in shown[0] and "epoch 2/2" in shown[0]


@pytest.mark.parametrize("kind", ["dumb", "unknown", ""])
def test_a_terminal_that_cannot_move_its_cursor_gets_lines(kind, terminal, monkeypatch):
    """No bar, no box, no escape: what a pipe gets."""
    monkeypatch.setenv("TERM", kind)
    with terminal() as shown:
        assert cli.main("pure_python", RUN) == 0
    lines = shown[0].splitlines()
    assert lines[0] == "moons · pure_python" and lines[1].startswith("data               20 ")
    assert "\x1b" not in shown[0] and "│" not in shown[0]
    with terminal() as shown:
        show_table("runs", ["backend", "loss"], [["pure_python", "0.5"]])
    assert shown[0].splitlines() == ["runs", "backend      loss", "pure_python   0.5"]


@pytest.mark.parametrize("forced", ["FORCE_COLOR", "TTY_COMPATIBLE", "CLICOLOR_FORCE"])
def test_a_pipe_gets_lines_whatever_is_forced(forced, run, monkeypatch):
    """A file that is read later has no use for a bar."""
    monkeypatch.setenv(forced, "1")
    done = run(*RUN)
    assert done.err == "" and "\x1b" not in done.succeeded() and "│" not in done.out


def test_a_system_that_names_no_terminal_may_have_one(monkeypatch):
    class Screen:
        def isatty(self):
            return True

    monkeypatch.delenv("TERM")
    assert draws(Screen())


def test_no_digit_is_left_out_of_a_table_that_does_not_fit(terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    header, row = ["run", "loss"], ["a name of a run that is rather long", "0.250000"]
    with terminal() as shown:
        show_table("runs", header, [row])
    assert "  ".join(row) in shown[0].splitlines() and "│" not in shown[0]


def test_columns_that_can_be_spared_make_room(terminal, monkeypatch, capsys):
    """One after the other, as many as it takes; a pipe gets all."""
    header, row = ["run", "began", "loss", "time"], ["a" * 30, "2026-01-02", "0.25", "1.5 s"]
    shown_at = {}
    for width in (80, 60, 45, 40):
        monkeypatch.setenv("COLUMNS", str(width))
        with terminal() as shown:
            show_table("runs", header, [row], spare=("began", "time"))
        shown_at[width] = ESCAPE.sub("", shown[0])
    assert "no room" not in shown_at[80] and all(text in shown_at[80] for text in (*header, *row))
    assert "runs (no room for began)" in shown_at[60] and "│ 1.5 s │" in shown_at[60]
    assert "runs (no room for began, time)" in shown_at[45] and "│ 0.25 │" in shown_at[45]
    assert "a" * 30 + "  0.25" in shown_at[40], "what cannot be spared is shown all the same"
    show_table("runs", header, [row], spare=("began", "time"))
    assert "  ".join(row) in capsys.readouterr().out
