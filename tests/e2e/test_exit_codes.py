"""Exit codes: 0 go or tight, 1 no-go, 3 unknown, 70 ours; what moves them and what does not."""

from __future__ import annotations

import pytest
from commands import Terminal

from canitrain.cli.check_options import FailOn
from canitrain.cli.exit_codes import ExitCode
from canitrain.cli.verdict_code import exit_code
from canitrain.core.report import Status

TABLE = {
    # status: default, --fail-on tight, --fail-on unknown, --fail-on no-go
    Status.GO: (0, 0, 0, 0),
    Status.TIGHT: (0, 1, 0, 0),
    Status.UNKNOWN: (3, 3, 3, 0),
    Status.NO_GO: (1, 1, 1, 1),
}


@pytest.mark.parametrize("status", Status)
def test_exit_code_of_every_verdict_and_threshold(status: Status) -> None:
    thresholds = (FailOn.UNKNOWN, FailOn.TIGHT, FailOn.UNKNOWN, FailOn.NO_GO)

    assert tuple(exit_code(status, threshold, exit_zero=False) for threshold in thresholds) == TABLE[status]
    assert {exit_code(status, threshold, exit_zero=True) for threshold in thresholds} == {ExitCode.FINE}


@pytest.mark.parametrize(
    ("host", "word", "code"),
    [("rtx3060-desktop", "GO", 0), ("cpu-only-laptop", "NO-GO", 1), ("driver-broken", "UNKNOWN", 3)],
)
def test_verdict_leads_the_report_and_sets_the_code(terminal: Terminal, host: str, word: str, code: int) -> None:
    finished = terminal.check(host=host)

    assert finished.out.split()[0] == word
    assert finished.code == code
    assert finished.err == ""


def test_exit_zero_keeps_the_verdict_and_drops_the_code(terminal: Terminal) -> None:
    finished = terminal.check("--exit-zero", host="cpu-only-laptop")

    assert finished.code == 0
    assert finished.out.startswith("NO-GO")


def test_quiet_says_nothing_but_the_code(terminal: Terminal) -> None:
    finished = terminal.check("--quiet", host="cpu-only-laptop")

    assert (finished.code, finished.out, finished.err) == (1, "", "")


def test_a_longer_limit_turns_a_no_go_by_time(terminal: Terminal) -> None:
    assert terminal.check(host="cpu-only-laptop").code == 1
    assert terminal.check("--max-time", "500d", host="cpu-only-laptop").code == 0


def test_a_bug_is_70_and_no_verdict(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("made up")

    monkeypatch.setattr("canitrain.cli.check.check", broken)
    finished = terminal.check()

    assert finished.code == 70
    assert finished.out == ""
    assert finished.err.splitlines()[0] == "error: canitrain failed, this is no verdict (ZeroDivisionError: made up)"
    assert "CANITRAIN_DEBUG=1" in finished.err.splitlines()[1]


def test_debug_shows_the_traceback_of_a_bug(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("made up")

    monkeypatch.setattr("canitrain.cli.check.check", broken)
    monkeypatch.setenv("CANITRAIN_DEBUG", "1")

    with pytest.raises(ZeroDivisionError, match="made up"):
        terminal.check()


def test_version_is_the_packages(terminal: Terminal) -> None:
    from importlib.metadata import version  # noqa: PLC0415

    assert terminal("--version").out == f"canitrain {version('canitrain')}\n"
