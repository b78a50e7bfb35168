"""Pages that are written by tools are fresh."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_command_line_reference_is_what_help_says() -> None:
    tool = [sys.executable, str(ROOT / "tools" / "write_cli_reference.py"), "--check"]

    assert subprocess.run(tool, check=False, cwd=ROOT).returncode == 0, "run: python tools/write_cli_reference.py"


def test_contributing_names_every_tool_that_runs() -> None:
    told = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tools = [path.name for path in (ROOT / "tools").glob("*.py") if "__main__" in path.read_text(encoding="utf-8")]

    assert len(tools) > 10
    assert [name for name in tools if f"tools/{name}" not in told] == []
