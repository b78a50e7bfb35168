"""What the process says to a shell."""

from __future__ import annotations

import enum


@enum.unique
class ExitCode(enum.IntEnum):
    """One number, one meaning: a crash never looks like a verdict."""

    FINE = 0
    """Go or tight, or a command without a verdict that did its work."""
    NO_GO = 1
    """No-go, or an accuracy bound that was missed."""
    BAD_INPUT = 2
    """An option, a name or a file is wrong; nothing was written."""
    UNKNOWN = 3
    """A fact that decides is missing."""
    BUG = 70
    """Ours (``EX_SOFTWARE`` of sysexits.h)."""
    INTERRUPTED = 130
    """Ctrl-C (128 + SIGINT)."""
