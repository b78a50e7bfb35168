"""Write docs/reference/cli.md from the --help of every command.

python tools/write_cli_reference.py           writes the page
python tools/write_cli_reference.py --check   exits 1 where the page is stale
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "cli.md"
HEAD = """# Command line

Generated from `--help` by `tools/write_cli_reference.py`; a test keeps it fresh.

Exit codes: `0` go or tight, `1` no-go (or an accuracy bound missed), `2` bad usage or input, `3` unknown,
`70` a bug of canitrain, `130` interrupted. The answer goes to stdout, everything else to stderr. `NO_COLOR`,
`COLUMNS` and `TERM=dumb` are heeded; `CANITRAIN_DEBUG=1` shows the traceback of a bug.
"""
ENVIRONMENT = {
    "COLUMNS": "100",
    "TERMINAL_WIDTH": "100",
    "NO_COLOR": "1",
    "TERM": "dumb",
    "_TYPER_FORCE_DISABLE_TERMINAL": "1",
}


def help_of(*arguments: str) -> str:
    """What ``canitrain ARGUMENTS --help`` prints."""
    from canitrain.cli.app import run  # noqa: PLC0415  # after the environment is set

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        run([*arguments, "--help"])
    return "\n".join(line.rstrip() for line in printed.getvalue().strip("\n").splitlines())


def page() -> str:
    """The whole page."""
    from canitrain.cli.app import COMMANDS  # noqa: PLC0415

    sections = [HEAD, f"## canitrain\n\n```text\n{help_of()}\n```\n"]
    sections += [f"## canitrain {name}\n\n```text\n{help_of(name)}\n```\n" for name in COMMANDS]
    return "\n".join(sections)


def words(text: str) -> list[str]:
    """The words without the boxes around them, whose layout is up to rich's version."""
    return re.sub("[\u2500-\u257f]", " ", text).split()


def main() -> int:
    os.environ.update(ENVIRONMENT)  # before typer is imported: it reads them then
    if "--check" in sys.argv[1:]:
        return int(not PAGE.exists() or words(PAGE.read_text(encoding="utf-8")) != words(page()))
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
