from __future__ import annotations

import pytest
from run_lines import HEADER

from canitrain.cli.app import run


@pytest.fixture
def replay(tmp_path, capsys):
    """Run ``accuracy`` on lines below the header; exit code, stdout, stderr."""

    def command(lines, *options, header=HEADER):
        path = tmp_path / "runs.csv"
        path.write_text("\n".join([header, *lines]) + "\n")
        code = run(["accuracy", "--measurements", str(path), *options])
        said = capsys.readouterr()
        return code, said.out, said.err

    return command
