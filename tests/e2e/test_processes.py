"""Whole processes: start-up, pipes, ``python -m``, colour."""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import HOSTS

CHECK = ("-m", "canitrain", "check", "--model", "yolov5s", "--images", "20000")
SAVED = ("--hardware", str(HOSTS / "rtx3060-desktop.json"))
HEAVY = ("torch", "pynvml", "psutil", "cpuinfo", "rich.table", "numpy")


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def test_importing_the_cli_imports_nothing_heavy() -> None:
    loaded = python("-c", "import canitrain.cli, sys; print(*sys.modules)").stdout.split()

    assert "canitrain.cli.app" in loaded
    assert set(HEAVY).isdisjoint(loaded)


def test_checking_a_saved_machine_imports_nothing_heavy() -> None:
    script = f"import sys; from canitrain.cli.app import run; run({[*CHECK[2:], *SAVED]!r}); print(*sys.modules)"
    loaded = python("-c", script).stdout.split()

    assert "canitrain.check" in loaded
    assert set(HEAVY).isdisjoint(loaded)
    assert "canitrain.probe" not in loaded


WAITING = 1.5
"""How far beyond the limit the wall clock may be, of a machine that does other things too."""


def _seconds(bytecode: Path, *arguments: str) -> tuple[float, float]:
    """Wall and processor seconds; the latter hardly depend on what else the machine does.

    As where it was installed, with compiled modules, which ``bytecode`` keeps from one start to the next.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = kept | {"PYTHONPYCACHEPREFIX": str(bytecode)}
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], capture_output=True, check=False, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, busy_s


@pytest.mark.parametrize(("machine", "limit_ratio"), [(SAVED, 2.0), ((), 3.0)])
def test_check_starts_fast(machine: tuple[str, ...], limit_ratio: float, tmp_path: Path) -> None:
    yardstick = ("-c", "import typer, rich.console, rich.table")
    for arguments in (yardstick, (*CHECK, *machine)):  # compiles
        _seconds(tmp_path, *arguments)
    # In turns, and the fastest of each: what both take when the machine has nothing else to do.
    yardstick_s, check_s = (math.inf, math.inf), (math.inf, math.inf)
    ratios: list[float] = []
    for _ in range(12):
        yardstick_s = tuple(map(min, yardstick_s, _seconds(tmp_path, *yardstick)))
        check_s = tuple(map(min, check_s, _seconds(tmp_path, *CHECK, *machine)))
        ratios = [spent / allowed for spent, allowed in zip(check_s, yardstick_s, strict=True)]
        # Either clock may be the truer one on a busy machine; but what only waits costs the processor nothing.
        if min(ratios) <= limit_ratio and ratios[0] <= WAITING * limit_ratio:
            return

    raise AssertionError(f"{ratios} times the yardstick, wall and processor")


@pytest.mark.parametrize("format_", ["text", "json", "html"])
def test_a_closed_pipe_is_silent(format_: str) -> None:
    command = [sys.executable, *CHECK, *SAVED, "--format", format_]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
        process.wait(timeout=60)

    assert errors == b""
    assert process.returncode == 0


def test_a_full_disk_is_no_verdict_and_no_bug() -> None:
    with Path("/dev/full").open("w") as full:
        finished = subprocess.run(
            [sys.executable, *CHECK, *SAVED], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert finished.returncode == 2
    assert finished.stderr.startswith("error: cannot write to stdout: ")
    assert len(finished.stderr.splitlines()) == 2


def test_json_of_a_no_go_still_parses() -> None:
    finished = python(*CHECK, "--hardware", str(HOSTS / "cpu-only-laptop.json"), "--max-time", "1h", "--json")

    assert finished.returncode == 1
    assert json.loads(finished.stdout)["verdict"]["status"] == "no-go"


def test_no_colour_where_nobody_looks() -> None:
    finished = python(*CHECK, *SAVED)

    assert "\x1b" not in finished.stdout
    assert finished.stdout.isascii()


def test_this_machine_gets_a_verdict() -> None:
    finished = python(*CHECK)

    assert finished.returncode in (0, 1, 3), finished.stderr
    assert finished.stdout.split()[0] in ("GO", "TIGHT", "NO-GO", "UNKNOWN")


def test_output_says_on_stderr_where_the_report_is(tmp_path: os.PathLike[str]) -> None:
    target = os.path.join(tmp_path, "report.html")  # noqa: PTH118
    finished = python(*CHECK, *SAVED, "--format", "html", "--output", target)

    assert finished.stdout == ""
    assert finished.stderr == f"go: the report is in {target}\n"


def test_check_works_where_torch_and_nvml_cannot_be_imported() -> None:
    blocked = "import sys; sys.modules.update(dict.fromkeys(('torch', 'pynvml', 'cpuinfo', 'numpy')))"
    script = f"{blocked}; from canitrain.cli.app import run; sys.exit(run({[*CHECK[2:]]!r}))"
    finished = python("-c", script)

    assert finished.returncode in (0, 1, 3), finished.stderr
    assert finished.stdout.split()[0] in ("GO", "TIGHT", "NO-GO", "UNKNOWN")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((*SAVED,), 0),
        ((*SAVED, "--max-time", "1m"), 1),
        ((*SAVED, "--batch-size", "0"), 2),
        (("--hardware", "/nowhere.json"), 2),
        (("--help",), 0),
    ],
)
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_changes_no_exit_code(arguments: tuple[str, ...], code: int, closed: str) -> None:
    finished = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", sys.executable, *CHECK, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )

    assert finished.returncode == code
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--batch-size", "0"), 2)])
def test_a_reader_of_stderr_that_went_away_changes_no_exit_code(arguments: tuple[str, ...], code: int) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    finished = subprocess.run(
        [sys.executable, *CHECK, *SAVED, *arguments], stdout=subprocess.DEVNULL, stderr=writer, check=False
    )
    os.close(writer)

    assert finished.returncode == code


def test_help_whose_reader_went_away_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    finished = subprocess.run(
        [sys.executable, "-m", "canitrain", "check", "--help"], stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)

    assert finished.returncode == 0
    assert finished.stderr == b""


def test_a_file_written_while_stdout_is_closed_holds_the_report_alone(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    command = [sys.executable, *CHECK, *SAVED, "--json", "--output", str(target)]
    subprocess.run(["sh", "-c", '"$@" >&- 2>&-', "sh", *command], check=True)

    assert json.loads(target.read_text(encoding="utf-8"))["verdict"]["status"] == "go"


def test_a_machine_can_come_through_a_pipe() -> None:
    host = HOSTS / "rtx3060-desktop.json"
    piped = subprocess.run(
        [sys.executable, *CHECK, "--hardware", "-", "--json"],
        input=host.read_text(encoding="utf-8"),
        capture_output=True,
        text=True,
        check=False,
    )
    saved = python(*CHECK, "--hardware", str(host), "--json")

    assert piped.returncode == saved.returncode == 0
    through, named = json.loads(piped.stdout), json.loads(saved.stdout)
    assert through.pop("hardware")["gpus"] == named.pop("hardware")["gpus"]
    assert through == named
