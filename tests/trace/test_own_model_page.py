"""The page on models of one's own: its example traces, and its assumptions are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

from canitrain.trace.spec import trace_spec

PAGE = (Path(__file__).parent.parent.parent / "docs" / "own-model.md").read_text(encoding="utf-8")


def test_every_example_is_a_file_that_can_be_traced(tmp_path):
    examples = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL)
    assert len(examples) == 2
    for name, source in examples:
        (tmp_path / name).write_text(source)
        compiled = compile(source, name, "exec")
        assert "build" in compiled.co_names


def test_the_example_traces_with_the_defaults_that_the_page_states(tmp_path):
    example = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    (tmp_path / "my_model.py").write_text(example[1])
    profile = trace_spec(f"{tmp_path / 'my_model.py'}:build")
    defaults = profile.defaults
    # 3 x 32 x 9 + 32 of the convolution, 2 x 32 of the norm, 32 x 10 + 10 of the last layer
    assert profile.parameters == 896 + 64 + 330
    assert (defaults.image_size.shorter, defaults.batch_size, defaults.epochs, defaults.workers) == (640, 16, 1, 4)
    assert (defaults.optimizer, defaults.precision.value) == ("sgd-momentum", "fp32")
    assert "640 px, batch 16, one epoch, SGD with momentum, fp32 and 4 loader workers" in PAGE
