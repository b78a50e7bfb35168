"""Files of one's own, and what else `canitrain trace` is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from canitrain.core.errors import InputError, MissingDependencyError
from canitrain.core.profile import ImageSize
from canitrain.core.traced_size import only_size
from canitrain.trace import spec as specs
from canitrain.trace.spec import at_size, trace_spec

TRANSFORMER = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 16, 16)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 2, 64, batch_first=True), 2)
        self.head = nn.Linear(32, 5)

    def forward(self, images):
        return {"scores": self.head(self.encoder(self.patches(images).flatten(2).transpose(1, 2)).mean(1))}


def tiny():
    return Net()
"""
ONE_SIZE_NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 16, 16)
        self.places = nn.Parameter(torch.zeros(1, 16, 16))
        self.head = nn.Linear(16, 5)

    def forward(self, images):
        return self.head((self.patches(images).flatten(2).transpose(1, 2) + self.places).relu().mean(1))


def build():
    return Net()
"""


def test_a_side_is_part_of_the_spec_where_the_library_takes_one():
    assert at_size("timm:vit_base_patch16_224", 384) == "timm:vit_base_patch16_224@384"
    assert at_size("timm:vit_base_patch16_224@224", 384) == "timm:vit_base_patch16_224@384"
    assert at_size("mine.py:build", 384) == "mine.py:build@384"
    with pytest.raises(InputError, match="not traced at a size"):
        at_size("torchvision:ssd300_vgg16", 384)


def test_a_file_of_ones_own_traces_end_to_end(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from torch import nn\n"
        "def build():\n"
        "    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 1))\n"
    )
    traced = trace_spec(f"{file}:build")
    assert (traced.name, traced.parameters) == ("mine", 8 * 27 + 8 + 8 * 4 + 4)
    assert traced.implementation.spec == "mine.py:build"


def test_attention_runs_other_operators_on_one_image_and_traces_all_the_same(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(TRANSFORMER)
    assert trace_spec(f"{file}:tiny").name == "mine:tiny"


def test_a_file_may_bring_its_own_step(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import torch\nfrom torch import nn\n"
        "def build():\n"
        "    model = nn.Conv2d(1, 1, 1)\n"
        "    def step(batch, height, width, boxes):\n"
        "        return model(torch.zeros(batch, 1, height, width)).mean()\n"
        "    return model, step\n"
    )
    assert trace_spec(f"{file}:build").parameters == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resnet50", "names no model"),
        ("keras:resnet50", "no library"),
        ("nowhere.py:build", "no Python file"),
        (":x", "names no model"),
    ],
)
def test_a_spec_that_leads_nowhere_says_so(text, message):
    with pytest.raises(InputError, match=message) as caught:
        trace_spec(text)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("build = 1", "no function"),
        ("1 / 0", "does not run"),
        ("def build():\n    return 3", "returned int"),
        ("def build():\n    raise ValueError('no\\nweights')", "does not build its model: ValueError: no weights"),
        ("from torch import nn\ndef build():\n    return nn.Identity()", "no parameter to train"),
        ("from torch import nn\ndef build():\n    return nn.Conv2d(7, 1, 1)", "does not train"),
    ],
)
def test_a_file_that_does_not_keep_the_protocol_is_refused(tmp_path, source, message):
    file = tmp_path / "broken.py"
    file.write_text(source)
    with pytest.raises(InputError, match=message):
        trace_spec(f"{file}:build")


@pytest.mark.parametrize(
    ("spec", "sized"),
    [
        ("timm:resnet50", "timm:resnet50@384"),
        ("timm:resnet50@224", "timm:resnet50@384"),
        ("/data/@home/my_model.py:build", "/data/@home/my_model.py:build@384"),
    ],
)
def test_a_size_is_put_after_the_name_of_the_model(spec, sized):
    assert specs.at_size(spec, 384) == sized


@pytest.mark.parametrize("side", ["0", "x", "", "-1", "1.5"])
def test_a_side_that_is_no_size_is_refused(tmp_path, side):
    file = tmp_path / "own.py"
    file.write_text("from torch import nn\nbuild = lambda: nn.Conv2d(3, 1, 1)", encoding="utf-8")
    with pytest.raises(InputError, match="is no image size"):
        trace_spec(f"{file}:build@{side}")


def test_every_prefix_has_an_adapter_of_its_name():
    folder = Path(specs.__file__).parent / "adapters"
    assert all((folder / f"{prefix}.py").is_file() for prefix in specs.LIBRARIES)


def test_a_missing_library_says_what_to_install(monkeypatch):
    missing = specs.Library(install="pip install it", model="y")
    monkeypatch.setitem(specs.LIBRARIES, "no_such_library", missing)
    with pytest.raises(MissingDependencyError) as caught:
        trace_spec("no_such_library:model")
    assert "pip install it" in caught.value.hint


def test_a_file_whose_model_takes_one_size_is_traced_at_that_size_alone(tmp_path):
    file = tmp_path / "net.py"
    file.write_text(ONE_SIZE_NET)
    profile = trace_spec(at_size(f"{file}:build", 64))  # 64 / 16 = 4 patches a side, 16 places
    assert only_size(profile) == ImageSize(shorter=64, longer=64)
    assert "64 px" in profile.notes[0]


def test_a_file_whose_model_does_not_take_the_size_is_refused_with_the_way_out(tmp_path):
    file = tmp_path / "net.py"
    file.write_text(ONE_SIZE_NET)
    with pytest.raises(InputError, match="does not train") as refused:
        trace_spec(at_size(f"{file}:build", 96))
    assert "--image-size" in refused.value.hint
