"""The trace command around the tracer."""

from __future__ import annotations

from canitrain.cli.app import run


def test_trace_says_what_takes_long_and_what_comes_next(tmp_path, capsys):
    (tmp_path / "net.py").write_text("from torch import nn\ndef tiny():\n    return nn.Conv2d(3, 2, 1)\n")
    output = tmp_path / "net.json"

    assert run(["trace", f"{tmp_path / 'net.py'}:tiny", "--image-size", "64", "--output", str(output)]) == 0

    told = capsys.readouterr()
    assert told.out == ""
    first, second, third = told.err.splitlines()
    assert first.endswith("net.py:tiny@64: this runs several training steps and can take minutes")
    assert second.startswith("net:tiny: 8 parameters")  # 3 x 2 weights and 2 biases
    assert third == f"next: canitrain check --model {output} --images 20000"
