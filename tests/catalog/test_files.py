"""Where the data lies, hardware files, datasets and calibration."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bare_machine import machine
from detected_gpus import detected

from canitrain.catalog import complete, dataset_names, load_calibration, load_dataset, load_hardware
from canitrain.catalog.decode import decode_toml
from canitrain.catalog.locate import profiles_path
from canitrain.core.dataset import Dataset
from canitrain.core.errors import CatalogError, InputError


def test_profiles_are_found_inside_a_wheel(tmp_path: Path) -> None:
    package = tmp_path / "site-packages" / "canitrain"
    (package / "profiles" / "gpus").mkdir(parents=True)

    assert profiles_path(package) == package / "profiles"


def test_profiles_are_found_beside_src_in_an_editable_install(tmp_path: Path) -> None:
    package = tmp_path / "src" / "canitrain"
    package.mkdir(parents=True)
    (tmp_path / "profiles" / "gpus").mkdir(parents=True)

    assert profiles_path(package) == tmp_path / "profiles"


def test_the_wheels_own_profiles_come_before_a_stranger_beside_it(tmp_path: Path) -> None:
    package = tmp_path / "lib" / "canitrain"
    (package / "profiles" / "gpus").mkdir(parents=True)
    (tmp_path / "profiles" / "gpus").mkdir(parents=True)

    assert profiles_path(package) == package / "profiles"


def test_a_damaged_installation_says_so(tmp_path: Path) -> None:
    with pytest.raises(CatalogError) as caught:
        profiles_path(tmp_path / "src" / "canitrain")

    assert "install" in caught.value.hint


def test_a_saved_machine_comes_back_as_it_was(tmp_path: Path) -> None:
    saved = machine(gpus=(detected("NVIDIA GeForce RTX 3060", memory_mib=12288),))
    path = tmp_path / "host.json"
    path.write_bytes(msgspec.json.encode(saved))

    loaded = load_hardware(path)

    assert loaded == msgspec.structs.replace(saved, origin=str(path))


def test_a_completed_machine_survives_the_round_trip_too(tmp_path: Path) -> None:
    saved = complete(machine(gpus=(detected("NVIDIA GeForce RTX 3060", memory_mib=12288),)))
    path = tmp_path / "host.json"
    path.write_bytes(msgspec.json.encode(saved))

    assert complete(load_hardware(path)).gpus == saved.gpus


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda tree: tree.update(extra=1), "extra"),
        (lambda tree: tree["cpu"].update(cores=8), "cores"),
        (lambda tree: tree["cpu"]["logical_cores"].update(value=-8), "logical_cores.value is -8"),
        (lambda tree: tree["cpu"]["logical_cores"].update(value="eight"), "eight"),
        (lambda tree: tree["ram"]["total_bytes"].update(value=-1), "total_bytes.value is -1"),
        (lambda tree: tree["ram"]["total_bytes"].update(state="perhaps"), "perhaps"),
        (lambda tree: tree.pop("ram"), "ram"),
        (lambda tree: tree["cpu"]["usable_cores"].update(value=0), "cpu.usable_cores.value is 0"),
        (lambda tree: tree["cpu"]["usable_cores"].update(value=5000), "cpu.usable_cores.value is 5000, more than"),
        (lambda tree: tree["cpu"]["usable_cores"].update(value=1e300), "cpu.usable_cores.value is 1e+300"),
        (
            lambda tree: tree["ram"].update(usable_bytes={"state": "known", "value": 2**50, "source": "test"}),
            "ram.usable_bytes.value is 1125899906842624",
        ),
        (lambda tree: tree["ram"]["total_bytes"].update(value=0), "ram.total_bytes.value is 0"),
        (lambda tree: tree["gpus"]["value"][0]["total_bytes"].update(value=0), "gpus.value[0].total_bytes.value is 0"),
        (
            lambda tree: tree["gpus"]["value"][0]["free_bytes"].update(value=2**40),
            "free_bytes.value is 1099511627776, more than",
        ),
        (
            lambda tree: tree.update(schema="canitrain.hardware/9", novel=1),
            'is in format "canitrain.hardware/9", and this release of canitrain reads canitrain.hardware/1',
        ),
    ],
)
def test_a_wrong_hardware_file_is_refused_with_file_key_and_value(tmp_path: Path, change: Any, word: str) -> None:
    tree = msgspec.to_builtins(machine(gpus=(detected("NVIDIA GeForce RTX 3060", memory_mib=12288),)))
    change(tree)

    error = _hardware_error(tmp_path, json.dumps(tree))

    assert word in error.message
    assert "host.json" in error.message


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "canitrain.hardware/1"', "NaN", '"x"'])
def test_a_malformed_hardware_file_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    error = _hardware_error(tmp_path, text)

    assert "\n" not in error.message
    assert "canitrain probe --save" in error.hint


def test_a_missing_hardware_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_hardware(tmp_path / "host.json")


def test_all_calibration_files_decode() -> None:
    calibration = load_calibration()

    assert calibration.memory
    assert calibration.time
    assert calibration.host


def test_every_dataset_decodes_and_has_a_source() -> None:
    assert "coco" in dataset_names()
    assert all(load_dataset(name).source for name in dataset_names())
    assert load_dataset("COCO") == load_dataset("coco")


def test_an_unknown_dataset_names_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        load_dataset("cocoo")

    assert "did you mean coco" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("name = ", "not valid TOML"),
        ("images = nan", "images"),
        ("images = inf", "images"),
        ("extra = 1", "extra"),
        ('images = "many"', "images"),
    ],
)
def test_a_broken_file_of_ours_is_our_bug(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "data.toml"
    path.write_text(text)

    with pytest.raises(CatalogError) as caught:
        decode_toml(path, Dataset)

    assert word in caught.value.message
    assert "\n" not in caught.value.message


def _hardware_error(folder: Path, text: str) -> InputError:
    path = folder / "host.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_hardware(path)
    return caught.value
