"""``canitrain gpus`` and ``canitrain models`` as a person and as a script see them."""

import json
from typing import Any

import pytest

from canitrain.catalog import list_models, load_cards
from canitrain.cli.app import run


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")


def test_the_list_of_cards_fits_eighty_columns_and_names_every_card(capsys: pytest.CaptureFixture[str]) -> None:
    text = _text(capsys, "gpus")

    assert max(map(len, text.splitlines())) <= 80
    assert all(card.name in text for card in load_cards())
    assert f"{len(load_cards())} cards" in text


def test_the_list_of_models_fits_eighty_columns_and_names_every_model(capsys: pytest.CaptureFixture[str]) -> None:
    text = _text(capsys, "models")

    assert max(map(len, text.splitlines())) <= 80
    assert all(entry.name in text for entry in list_models())


def test_details_of_one_card_say_where_the_numbers_come_from(capsys: pytest.CaptureFixture[str]) -> None:
    text = _text(capsys, "gpus", "rtx3060")

    assert text.startswith("GeForce RTX 3060\n")
    assert "12.0 GiB, 360 GB/s" in text
    assert "fp16 25.5" in text
    assert "Source" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_card_tells_whether_its_links_take_a_bridge(capsys: pytest.CaptureFixture[str]) -> None:
    bridged, joined = _text(capsys, "gpus", "rtx3090"), _text(capsys, "gpus", "A100-SXM4-80GB")

    assert "56.2 GB/s each way, over a bridge that is sold apart" in " ".join(bridged.split())
    assert "bridge" not in joined


def test_details_of_one_model_name_the_implementation_and_its_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    text = _text(capsys, "models", "yolov5m")

    assert "yolov5 7.0.14" in text
    assert "21,190,557" in text
    assert "batch 16" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("condition", "low_gib", "high_gib"),
    [
        (">=16GB", 16, 1000),
        (">= 16", 16, 1000),
        ("16gb", 16, 16),
        ("=24GiB", 24, 24),
        ("==24", 24, 24),
        ("<8GB", 0, 7.9),
        ("<=8g", 0, 8),
        (">80GB", 82, 1000),
    ],
)
def test_memory_filters_by_the_size_on_the_box(
    capsys: pytest.CaptureFixture[str], condition: str, low_gib: float, high_gib: float
) -> None:
    cards = _json(capsys, "gpus", "--memory", condition, "--json")

    sizes_gib = [card["memory_bytes"] / 2**30 for card in cards]
    assert sizes_gib
    assert min(sizes_gib) >= low_gib * 0.98
    assert max(sizes_gib) <= high_gib * 1.02


@pytest.mark.parametrize("condition", ["", "lots", ">=", "0GB", "-4GB", "16 apples", "nan", "=>16GB"])
def test_a_condition_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], condition: str) -> None:
    assert run(["gpus", f"--memory={condition}"]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert "hint:" in err


def test_vendor_filters_and_sort_orders(capsys: pytest.CaptureFixture[str]) -> None:
    cards = _json(capsys, "gpus", "--vendor", "amd", "--sort", "half", "--json")

    rates = [card["fp16_flops_per_s"] for card in cards]
    assert {card["vendor"] for card in cards} == {"amd"}
    assert rates == sorted(rates, reverse=True)


def test_one_card_and_a_filter_do_not_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["gpus", "rtx3060", "--vendor", "amd"]) == 2
    assert "filter" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["name", "memory", "bandwidth", "fp32", "half", "power", "year"])
def test_every_sort_key_keeps_all_cards(capsys: pytest.CaptureFixture[str], key: str) -> None:
    assert len(_json(capsys, "gpus", "--sort", key, "--json")) == len(load_cards())


def test_json_of_a_card_has_every_field_also_where_nothing_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    (card,) = _json(capsys, "gpus", "gtx 1080 ti", "--json")

    assert card["tf32_flops_per_s"] is None
    assert card["memory_bytes"] == 11 * 2**30
    assert card["generation"] == "pascal"


def test_json_of_models_is_a_list_without_traces(capsys: pytest.CaptureFixture[str]) -> None:
    rows = _json(capsys, "models", "--json")

    assert len(rows) == len(list_models())
    assert {"name", "title", "aliases", "parameters", "precisions", "defaults", "implementation"} <= set(rows[0])
    assert "traces" not in rows[0]


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [(["gpus", "rtx 3061"], "GeForce RTX 3060"), (["models", "yolov5q"], "yolov5")],
)
def test_an_unknown_name_is_one_error_one_hint_and_exit_two(
    capsys: pytest.CaptureFixture[str], arguments: list[str], nearest: str
) -> None:
    assert run(arguments) == 2

    out, err = capsys.readouterr()
    error, hint = err.splitlines()
    assert out == ""
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    assert nearest in hint


@pytest.mark.parametrize("command", ["gpus", "models"])
def test_help_shows_an_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert run([command, "--help"]) == 0

    assert f"canitrain {command}" in capsys.readouterr().out


def _text(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(arguments) == 0
    return capsys.readouterr().out


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    parsed: list[dict[str, Any]] = json.loads(_text(capsys, *arguments))
    return parsed


def test_a_part_of_many_names_lists_the_cards_that_have_it(capsys: pytest.CaptureFixture[str]) -> None:
    cards = _json(capsys, "gpus", "RTX", "--memory", ">=24GB", "--json")

    assert {"GeForce RTX 3090", "GeForce RTX 4090"} <= {card["name"] for card in cards}
    assert all("RTX" in card["name"] for card in cards)
    assert min(card["memory_bytes"] for card in cards) >= 23.5 * 2**30


def test_a_name_needs_no_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    assert _text(capsys, "gpus", "RTX", "3060") == _text(capsys, "gpus", "RTX 3060")
