"""Model profiles by name, alias and file."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_profile import PROFILE, profile_with

from canitrain.catalog import models
from canitrain.catalog.decode import Owner, refuse_bad_numbers
from canitrain.catalog.locate import profiles_path
from canitrain.catalog.models import find_entry, find_inconsistency, list_models, load_model, model_names
from canitrain.core.errors import CatalogError, InputError
from canitrain.core.profile import Precision


@pytest.fixture
def catalog_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A profiles folder with the tiny model alone."""
    folder = tmp_path / "models" / "tiny"
    folder.mkdir(parents=True)
    (folder / "tiny.json").write_text(json.dumps(PROFILE))
    monkeypatch.setattr(models, "profiles_path", lambda: tmp_path)
    return folder


@pytest.mark.parametrize("name", ["tiny", "TINY", "the-tiny-one", "The_Tiny.One", "thetinyone"])
@pytest.mark.usefixtures("catalog_of_one")
def test_a_model_is_found_by_name_and_alias_however_it_is_spelled(name: str) -> None:
    assert load_model(name).name == "tiny"


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("Faster R-CNN R50-FPN", "fasterrcnn_resnet50_fpn"),
        ("faster_rcnn_r50_fpn", "fasterrcnn_resnet50_fpn"),
        ("RetinaNet R50-FPN v2", "retinanet_resnet50_fpn_v2"),
        ("mask_rcnn_R_50_FPN", "maskrcnn_resnet50_fpn"),
        ("ResNet-50 (classifier)", "resnet50"),
        ("timm:resnet50", "resnet50"),
        ("torchvision:fasterrcnn", "fasterrcnn_resnet50_fpn"),
        ("effdet:tf_efficientdet_d0", "tf_efficientdet_d0"),
        ("yolov5s.pt", "yolov5s"),
        ("yolov5m6.yaml", "yolov5m6"),
    ],
)
def test_a_model_is_found_by_its_title_its_spec_and_other_libraries_abbreviations(name: str, model: str) -> None:
    assert load_model(name).name == model


def test_every_model_is_found_by_its_title_unless_that_looks_like_a_path() -> None:
    for entry in list_models():
        if "/" not in entry.title:
            assert find_entry(entry.title) == entry


@pytest.mark.parametrize("name", ["torchvision:resnet50", "timm:tf_efficientnet_b0"])
def test_another_library_is_another_implementation(name: str) -> None:
    with pytest.raises(InputError) as caught:
        load_model(name)

    assert f"canitrain trace {name}" in caught.value.hint


def test_the_libraries_of_specs_are_those_that_profiles_come_from() -> None:
    assert {entry.implementation.library for entry in list_models()} == models.LIBRARIES


@pytest.mark.parametrize("name", ["faster_rcnn_r101_fpn", "faster_rcnn_R_50_FPN_1x", "resnet500"])
def test_an_abbreviation_of_another_model_finds_none(name: str) -> None:
    with pytest.raises(InputError, match="no model is called"):
        load_model(name)


@pytest.mark.usefixtures("catalog_of_one")
def test_a_near_miss_names_the_nearest_model() -> None:
    with pytest.raises(InputError) as caught:
        load_model("tinny")

    assert "'tinny'" in caught.value.message
    assert "did you mean tiny" in caught.value.hint


@pytest.mark.usefixtures("catalog_of_one")
def test_a_name_like_nothing_points_to_the_list() -> None:
    with pytest.raises(InputError) as caught:
        load_model("zzz")

    assert caught.value.hint.startswith("see all of them: canitrain models; any other: canitrain trace timm:NAME")


def test_resolving_a_name_decodes_that_profile_alone(catalog_of_one: Path) -> None:
    (catalog_of_one / "broken.json").write_text("{")

    assert load_model("tiny").name == "tiny"


def test_a_broken_profile_of_ours_is_our_bug(catalog_of_one: Path) -> None:
    (catalog_of_one / "broken.json").write_text("{")

    with pytest.raises(CatalogError):
        load_model("broken")


@pytest.mark.usefixtures("catalog_of_one")
def test_the_list_has_what_the_profile_says_and_no_traces() -> None:
    (entry,) = list_models()

    assert (entry.name, entry.parameters, entry.precisions) == ("tiny", 100, (Precision.FP32,))
    assert find_entry("the-tiny-one") == entry
    assert model_names() == ("tiny",)


def test_a_profile_file_is_accepted_as_a_model(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(PROFILE))

    assert load_model(str(path)).name == "tiny"


# Where, what, and a word that the message must have.
BROKEN = [
    ("extra", 1, "extra"),
    ("traces.fp32.extra", 1, "extra"),
    ("parameters", "many", "parameters"),
    ("parameters", 0, "parameters is 0"),
    ("parameters", -5, "parameters is -5"),
    ("parameters", 1.5, "parameters"),
    ("parameters", ..., "parameters"),
    ("trainable_parameters", 101, "trainable_parameters is 101"),
    ("parameter_bytes", -400, "parameter_bytes is -400"),
    ("buffer_bytes", -1, "buffer_bytes is -1"),
    ("schema", "canitrain.profile/2", "canitrain.profile/2"),
    ("size_rule", "round", "round"),
    ("divisor", 0, "divisor is 0"),
    ("defaults.precision", "fp8", "fp8"),
    ("defaults.batch_size", 0, "batch_size is 0"),
    ("defaults.image_size.shorter", 0, "shorter is 0"),
    ("defaults.image_size.longer", 4097, "longer is 4097 and may be 4096 at most"),
    ("defaults.workers", 10**9, "defaults.workers is 1000000000 and may be 512 at most"),
    ("defaults.effective_batch_size", 10**18, "effective_batch_size is 1000000000000000000"),
    ("traces.fp32.stages.0.saved_bytes.bp", 1e25, "saved_bytes.bp is 1e+25"),
    ("traces", {}, "traces is empty"),
    ("traces", {"int8": {}}, "int8"),
    ("traces.fp32.stages", [], "stages is empty"),
    ("traces.fp32.stages.0.saved_bytes.bp", -12.0, "saved_bytes.bp is -12.0"),
    ("traces.fp32.stages.0.forward.conv.flops", {"q": 1}, "q"),
    ("traces.fp32.peaks.0.convolution", 1, "convolution is 1"),
    ("traces.fp32.peaks.0.convolution", -1, "convolution is -1"),
    ("traces.fp32.peaks.0.stage", "head", "'head'"),
    ("traces.fp32.convolutions.0.in_channels", 0, "convolutions[0]"),
    ("traces.fp32.convolutions.0.kernel", [3], "kernel"),
    ("traces.fp32.slack_replays", {"pixels": 0, "batches": [1], "slack_bytes": [0]}, "slack_replays.pixels is 0"),
    ("traces.fp32.slack_replays", {"pixels": 9, "batches": [1, 2], "slack_bytes": [0]}, "2 batches and 1 slack_bytes"),
    ("traces.fp32.slack_replays", {"pixels": 9, "batches": [], "slack_bytes": []}, "batches must rise"),
    ("traces.fp32.slack_replays", {"pixels": 9, "batches": [0, 1], "slack_bytes": [0, 0]}, "batches must rise"),
    ("traces.fp32.slack_replays", {"pixels": 9, "batches": [2, 2], "slack_bytes": [0, 0]}, "batches must rise"),
]


@pytest.mark.parametrize(("where", "value", "word"), BROKEN)
def test_a_wrong_value_is_refused_with_file_key_and_value(tmp_path: Path, where: str, value: Any, word: str) -> None:
    error = _error(tmp_path, json.dumps(profile_with(where, value)))

    assert word in error.message
    assert "mine.json" in error.message


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("not json", "not valid JSON"),
        (json.dumps(PROFILE)[:-1], "ends too early"),
        (json.dumps(PROFILE)[:200], "ends too early"),
        (json.dumps(PROFILE).replace("12.0", "NaN"), "NaN"),
        (json.dumps(PROFILE).replace("12.0", "Infinity"), "Infinity"),
        (json.dumps(PROFILE).replace("12.0", "-Infinity"), "Infinity"),
        (json.dumps(PROFILE).replace("12.0", "1e999"), "saved_bytes.bp"),
        (json.dumps(PROFILE).replace('"tiny"', '"t\x00iny"', 1), "not valid JSON"),
        ("[]", "array"),
        ("null", "null"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_malformed_text_is_refused_in_one_line(tmp_path: Path, text: str, word: str) -> None:
    assert word in _error(tmp_path, text).message


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(b"\xff\xfe\x00{")

    with pytest.raises(InputError):
        load_model(str(path))


@pytest.mark.parametrize("name", ["missing.json", "folder/missing", "./x"])
def test_a_missing_file_says_so(name: str) -> None:
    with pytest.raises(InputError, match="does not exist") as caught:
        load_model(name)

    assert "canitrain trace" in caught.value.hint


def test_a_folder_is_no_profile(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_model(f"{tmp_path}/")


@settings(max_examples=80, deadline=None, derandomize=True)
@given(cut=st.integers(0, len(json.dumps(PROFILE)) - 1))
def test_a_profile_cut_anywhere_is_refused(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    error = _error(tmp_path_factory.mktemp("cut"), json.dumps(PROFILE)[:cut])

    assert "\n" not in error.message


@pytest.mark.parametrize("path", sorted((profiles_path() / "models").rglob("*.json")), ids=lambda path: path.stem)
def test_every_profile_that_ships_decodes_and_is_consistent(path: Path) -> None:
    profile = load_model(path.stem)

    refuse_bad_numbers(json.loads(path.read_bytes()), path, Owner.CANITRAIN, hint="test")
    assert find_inconsistency(profile) is None
    assert profile.name == path.stem
    assert path.parent.name == profile.family


def test_names_and_aliases_of_all_models_are_unique() -> None:
    named = [
        {name.lower().replace("-", "").replace("_", "") for name in (entry.name, *entry.aliases)}
        for entry in list_models()
    ]

    assert sum(map(len, named)) == len(set().union(*named))


def _error(folder: Path, text: str) -> InputError:
    path = folder / "mine.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_model(str(path))
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value
