"""A profile that was traced at one size answers for no other."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from canitrain import catalog
from canitrain.check import check
from canitrain.cli.recipe import RecipeOptions, decide_recipe
from canitrain.core.errors import InputError
from canitrain.core.polynomial import Polynomial
from canitrain.core.profile import ImageSize, ModelProfile
from canitrain.core.traced_size import only_size, refuse_untraced_size, trained_size

MODELS = Path(__file__).parents[2] / "profiles" / "models"
DESKTOP = Path(__file__).parents[1] / "e2e" / "hosts" / "rtx3060-desktop.json"
PROFILES = {
    path.stem: msgspec.json.decode(path.read_bytes(), type=ModelProfile) for path in sorted(MODELS.glob("*/*.json"))
}
VIT = "vit_base_patch16_224"


@pytest.mark.parametrize("term", ["p", "bp", "pn", "bpn", "pp", "bpp"])
def test_every_term_with_pixels_follows_them(term):
    assert Polynomial(**{term: 1e-9}).follows_pixels


def test_batch_and_boxes_alone_follow_no_pixels():
    assert not Polynomial(one=1, b=1, n=1, bn=1).follows_pixels


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_size_bound_is_just_what_was_traced_at_one_size(name):
    """The polynomials and the shapes that they were fitted on say the same."""
    profile = PROFILES[name]
    sizes = {shape[1:3] for trace in profile.traces.values() for shape in trace.fit_shapes}
    size = profile.defaults.image_size
    assert (only_size(profile) is None) is (len(sizes) > 1)
    assert len(sizes) > 1 or sizes == {(size.shorter, size.longer)}


def test_the_traced_size_passes_and_any_size_of_a_convolutional_net():
    refuse_untraced_size(PROFILES[VIT], ImageSize(shorter=224, longer=224))
    refuse_untraced_size(PROFILES["resnet50"], ImageSize(shorter=384, longer=384))


@pytest.mark.parametrize("side", [192, 256, 384])
def test_another_size_is_refused_with_the_command_that_traces_it(side):
    with pytest.raises(InputError, match=f"{VIT} was traced at 224 px only, not at {side}") as refused:
        refuse_untraced_size(PROFILES[VIT], ImageSize(shorter=side, longer=side))
    assert f"canitrain trace timm:{VIT} --image-size {side} --output " in refused.value.hint


def test_the_hint_names_the_model_not_the_size_that_it_was_traced_at():
    profile = PROFILES[VIT]
    spec = msgspec.structs.replace(profile.implementation, spec=f"timm:{VIT}@384")
    with pytest.raises(InputError) as refused:
        refuse_untraced_size(msgspec.structs.replace(profile, implementation=spec), ImageSize(shorter=512, longer=512))
    assert f"timm:{VIT} --image-size 512" in refused.value.hint


def test_names_of_classifiers_that_people_type_lead_to_a_profile():
    wanted = {"vit": VIT, "mobilenet_v2": "mobilenetv2_100", "swin_tiny": "swin_tiny_patch4_window7_224"}
    assert {typed: catalog.load_model(typed).name for typed in wanted} == wanted


def _check(name, side=None):
    profile, machine = PROFILES[name], catalog.complete(catalog.load_hardware(DESKTOP))
    recipe = decide_recipe(RecipeOptions(batch_size=64), profile, machine)
    if side is not None:
        recipe = msgspec.structs.replace(recipe, image_size=ImageSize(shorter=side, longer=side))
    dataset = msgspec.structs.replace(catalog.load_dataset("imagenet"), images=50_000)
    return check(machine, profile, dataset, recipe, catalog.load_calibration())


def test_check_itself_refuses_whoever_calls_it():
    with pytest.raises(InputError, match="traced at 224 px only"):
        _check(VIT, 384)


def test_advice_names_no_size_that_was_not_traced():
    advised = {name: " ".join(each.change for each in _check(name).advice) for name in (VIT, "resnet152")}
    assert "--image-size" in advised["resnet152"]
    assert advised[VIT]
    assert "--image-size" not in advised[VIT]


def test_a_convolutional_net_takes_a_larger_image_and_needs_more():
    larger, own = _check("resnet50", 384), _check("resnet50")
    # Activations follow the pixels: (384 / 224)^2 = 2.94; weights, context and the like do not.
    growth = larger.memory.gpu.parts["activations"] / own.memory.gpu.parts["activations"]
    assert growth == pytest.approx((384 / 224) ** 2, rel=0.02)


@pytest.mark.parametrize(("shorter", "longer", "text"), [(640, 640, "640"), (800, 1333, "800x1333")])
def test_a_size_is_written_as_it_is_asked_for(shorter, longer, text):
    assert ImageSize(shorter=shorter, longer=longer).text == text


@pytest.mark.parametrize(
    ("library", "asked", "trained"),
    [
        ("yolov5", (640, 640), (640, 640)),
        ("yolov5", (650, 700), (672, 704)),
        ("yolov5", (10, 10), (64, 64)),  # at least two strides
        ("ultralytics", (10, 33), (32, 64)),  # at least one
        ("timm", (650, 650), (650, 650)),
    ],
)
def test_a_script_that_rounds_trains_at_whole_strides(library, asked, trained):
    profile = catalog.load_model("yolov5s")  # stride 32
    implementation = msgspec.structs.replace(profile.implementation, library=library)
    profile = msgspec.structs.replace(profile, implementation=implementation)
    found = trained_size(profile, ImageSize(shorter=asked[0], longer=asked[1]))
    assert (found.shorter, found.longer) == trained
