"""Where text leaves the process: the answer to stdout or a file, the talk to stderr."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TextIO

from canitrain.core.errors import InputError

FALLBACK_COLUMNS = 80
"""Where stdout is no terminal and COLUMNS is not set."""
SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
"""The file that GitHub shows as a job's summary."""
LAST_STANDARD_STREAM = 2
"""File descriptor of stderr; 0 and 1 are stdin and stdout."""


def open_closed_streams() -> None:
    """Send what goes to a stdout or stderr that the caller closed (``>&-``, some cron jobs) nowhere.

    Their numbers are taken too: else the next file that is opened would get 1 or 2, and messages with it.
    """
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= LAST_STANDARD_STREAM:
        descriptor = os.dup(descriptor)
    os.close(descriptor)
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()


def answer(text: str) -> None:
    """Print ``text`` to stdout; a reader that has gone away (``| head -1``) is no error.

    Raises:
        InputError: stdout cannot be written, for want of space for example.
    """
    _print(text if text.endswith("\n") else f"{text}\n")


def write_file(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` in UTF-8.

    Raises:
        InputError: it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}", hint="choose another --output") from None


def append_summary(text: str) -> bool:
    """Append ``text`` to the summary of the GitHub job that this runs in; ``False`` where it runs in none.

    Source: docs.github.com, "Workflow commands for GitHub Actions", adding a job summary. A summary that cannot be
    written is told on stderr and counts as none.
    """
    path = os.environ.get(SUMMARY_VARIABLE)
    if not path:
        return False
    try:
        with Path(path).open("a", encoding="utf-8") as summary:
            summary.write(text if text.endswith("\n") else f"{text}\n")
    except OSError as error:
        tell(f"warning: cannot write {SUMMARY_VARIABLE}: {error.strerror}")
        return False
    return True


def tell(text: str) -> None:
    """Print ``text`` to stderr; where that cannot be written there is nobody left to tell."""
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except OSError:
        _drop(sys.stderr)


def end_stdout() -> None:
    """Flush stdout now, so that a closed pipe does not speak up while Python exits.

    Raises:
        InputError: stdout cannot be written.
    """
    _print("")


def file_to_write(text: str) -> Path:
    """The path of an option that names a file.

    Raises:
        InputError: it ends like a folder, which ``Path`` would forget.
    """
    if text.endswith(("/", os.sep)):
        raise InputError(f"cannot write {text}: that is a folder", hint="name a file, like report.json")
    return Path(text)


def check_writable(path: Path) -> None:
    """Refuse an ``--output`` that could not be written, before any work.

    Raises:
        InputError: its folder does not exist, it is a folder, or this user may not write there.
    """
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {folder}", hint=f"create it: mkdir -p {folder}")
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder", hint="name a file, like report.json")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise InputError(f"cannot write {path}: permission denied", hint="choose a folder that you may write to")


def terminal_columns() -> int:
    """Columns of the terminal, or of COLUMNS, or 80."""
    return shutil.get_terminal_size((FALLBACK_COLUMNS, 24)).columns


def wants_color() -> bool:
    """Whether stdout is a terminal that takes colour (https://no-color.org, TERM=dumb)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _print(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop(sys.stdout)
    except OSError as error:
        _drop(sys.stdout)
        raise InputError(f"cannot write to stdout: {error.strerror}", hint="send it elsewhere: > FILE") from None


def _drop(stream: TextIO) -> None:
    """Send what is still buffered nowhere; Python would print a traceback for it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")
