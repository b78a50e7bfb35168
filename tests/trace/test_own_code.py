"""Files of the user's own: run as Python runs them, and refused in plain words where they go wrong."""

from __future__ import annotations

import pytest

from canitrain.cli.app import run
from canitrain.core.errors import InputError
from canitrain.trace.spec import trace_spec

IMPORTS = "import sys\nimport torch\nfrom torch import nn\n"


def traced(folder, body):
    (folder / "net.py").write_text(IMPORTS + body)
    return trace_spec(f"{folder / 'net.py'}:build@64")


STEP = """
def build():
    net = nn.Conv2d(3, 2, 1)
    def step(batch, height, width, boxes):
        loss = net(torch.rand(batch, 3, height, width)).mean()
        {ending}
    return net, step
"""


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        (STEP.format(ending="return {'loss': loss}"), "returned dict", "returns the loss"),
        (STEP.format(ending="return loss.item()"), "returned float", "returns the loss"),
        (STEP.format(ending="return loss + torch.ones(3)"), r"tensor of \(3,\)", "returns the loss"),
        (STEP.format(ending="return loss.detach()"), "no gradient", "detach"),
        (STEP.format(ending="loss.backward(); return loss"), "does not train", "leave backward"),
        (STEP.format(ending="return loss").replace("(batch, height, width, boxes)", "(batch)"), "four", "boxes"),
        ("def build(size): return nn.Conv2d(3, 2, 1)", "needs arguments", "defaults"),
        ("def build(): return nn.ReLU()", "no parameter to train", "requires_grad"),
        ("def build(): return nn.Conv2d(3, 2, 1).requires_grad_(False)", "no parameter to train", "requires_grad"),
        ("def build(): return nn.LazyConv2d(2, 1)", "does not train", "one batch"),
        ("def build(): sys.exit(3)", "does not build its model: it exits", "__main__"),
        ("sys.exit(1)", "does not run: it exits", "__main__"),
        ("def build(): raise RuntimeError('Found no NVIDIA driver on your system.')", "NVIDIA", "on the CPU"),
        ("def build(): raise KeyError('width')", "KeyError", "training step"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_what_to_change(tmp_path, body, message, hint):
    with pytest.raises(InputError, match=message) as told:
        traced(tmp_path, body)
    assert hint in told.value.hint


def test_a_file_that_exits_is_bad_input_and_never_a_verdict(tmp_path, capsys):
    (tmp_path / "net.py").write_text("import sys\ndef build(): sys.exit(3)\n")  # 3 is `unknown`

    assert run(["trace", f"{tmp_path / 'net.py'}:build", "--output", str(tmp_path / "net.json")]) == 2

    assert len(capsys.readouterr().err.splitlines()) == 2  # one line and a hint
    assert not (tmp_path / "net.json").exists()


def test_a_file_may_import_the_modules_beside_it_and_define_dataclasses(tmp_path):
    (tmp_path / "width_of_the_net.py").write_text("WIDTH = 5\n")
    body = "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom width_of_the_net import WIDTH\n"
    body += "from torch import nn\n@dataclass\nclass Config:\n    width: int = WIDTH\n"
    body += "def build(): return nn.Conv2d(3, Config().width, 1)\n"
    (tmp_path / "net.py").write_text(body)

    profile = trace_spec(f"{tmp_path / 'net.py'}:build@64")

    assert profile.parameters == 3 * 5 + 5


def test_outputs_in_a_dataclass_are_found(tmp_path):
    body = """
from dataclasses import dataclass
@dataclass
class Output:
    logits: torch.Tensor
    loss: object = None
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 1)
    def forward(self, images):
        return Output(self.layer(images))
def build(): return Net()
"""
    assert traced(tmp_path, body).parameters == 8  # 3 x 2 weights and 2 biases


def test_a_step_that_fails_while_it_is_measured_is_no_bug_of_ours(tmp_path, monkeypatch, capsys):
    file = tmp_path / "net.py"
    file.write_text("from torch import nn\ndef build(): return nn.Conv2d(3, 2, 1)\n")
    monkeypatch.chdir(tmp_path)
    assert run(["trace", "net.py:build", "--image-size", "64", "--output", "net.json"]) == 0
    file.write_text("from torch import nn\ndef build(): return nn.Conv2d(4, 2, 1)\n")

    assert run(["measure", "--model", "net.json", "--batch-size", "2", "--steps", "1"]) == 2

    assert "net.py:build does not train" in capsys.readouterr().err


@pytest.mark.parametrize("typed", ["net.py", "net.py:", "net:build"])
def test_a_file_that_was_named_incompletely_is_named_completely_in_the_hint(tmp_path, monkeypatch, typed):
    (tmp_path / "net.py").write_text("")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InputError) as told:
        trace_spec(typed)

    assert told.value.hint == "write it like net.py:build"


def test_a_model_that_fails_under_amp_alone_has_a_profile_of_fp32(tmp_path):
    body = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 1)
    def forward(self, images):
        output = self.layer(images)
        if output.dtype is torch.float16:
            raise NotImplementedError("no half here")
        return output
def build(): return Net()
"""
    profile = traced(tmp_path, body)

    assert [precision.value for precision in profile.traces] == ["fp32"]
    assert "no half here" in " ".join(profile.notes)
