"""The formats of a report."""

from __future__ import annotations

import enum


class Format(enum.Enum):
    """``--format``."""

    TEXT = "text"
    """For a terminal."""
    JSON = "json"
    """For scripts; the contract of ``canitrain schema report``."""
    MARKDOWN = "markdown"
    """For an issue or a pull request."""
    GITHUB = "github"
    """Workflow annotations, and Markdown for the job summary."""
    HTML = "html"
    """One file that needs nothing else."""
