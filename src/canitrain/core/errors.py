"""Everything that can go wrong and that a reader can mend.

CanitrainError
├── InputError              what was typed, or a file that was given, is wrong        exit 2
├── CatalogError            a file of ours under profiles/ is broken                  exit 70
└── MissingDependencyError  the command needs an extra that is not installed          exit 2
"""

from __future__ import annotations


class CanitrainError(Exception):
    """What happened, with the value, and a hint that says what to do next."""

    def __init__(self, message: str, *, hint: str) -> None:
        """Keep ``message`` (one line, no full stop) and ``hint`` (one line, an action)."""
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(CanitrainError):
    """An option, a name or a file of the user's is wrong."""


class CatalogError(CanitrainError):
    """A data file that ships with canitrain does not decode."""


class MissingDependencyError(CanitrainError):
    """The command needs torch or a model library that is not installed."""
