"""The JSON report: validates, has the promised keys, never a number that JSON has no word for."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from commands import HOSTS, Terminal

ALL_HOSTS = sorted(path.stem for path in HOSTS.glob("*.json"))

KEYS = {
    "verdict": {"status", "reasons", "exit_code"},
    "recommendation": {"batch_size", "precision", "accumulation_steps", "workers", "image_size"},
    "model": {"name", "implementation", "parameters"},
    "evidence": {"memory", "time"},
    "memory": {"gpu", "host", "disk"},
    "time": {"step_s", "epoch_s", "total_s", "images_per_s", "bottleneck", "parts"},
}
TOP = {*KEYS, "schema", "dataset", "recipe", "hardware", "batches", "advice", "warnings"}
GPU_KEYS = {"allocated_bytes", "reserved_bytes", "device_bytes", "required_bytes", "budget_bytes", "parts"}


def numbers(node: Any) -> Iterator[float]:
    match node:
        case bool():
            return
        case int() | float():
            yield node
        case dict():
            for child in node.values():
                yield from numbers(child)
        case list():
            for child in node:
                yield from numbers(child)


@pytest.fixture
def schema(terminal: Terminal) -> dict[str, Any]:
    return json.loads(terminal("schema", "report").out)


@pytest.mark.parametrize("host", ALL_HOSTS)
@pytest.mark.parametrize("model", ["fasterrcnn", "yolov5s"])
def test_report_validates_on_every_host(terminal: Terminal, schema: dict[str, Any], host: str, model: str) -> None:
    report = json.loads(terminal.check("--json", host=host, model=model).out)

    jsonschema.validate(report, schema)
    assert all(math.isfinite(number) for number in numbers(report))


def test_report_has_the_keys_that_scripts_lean_on(terminal: Terminal) -> None:
    report = json.loads(terminal.check("--json").out)

    assert report["schema"] == "canitrain.report/1"
    assert set(report) >= TOP
    for section, keys in KEYS.items():
        assert set(report[section]) >= keys, section
    assert set(report["memory"]["gpu"]) >= GPU_KEYS
    assert set(report["memory"]["gpu"]["device_bytes"]) == {"low", "expected", "high"}
    batch_keys = {"batch_size", "status", "device_bytes", "step_s", "images_per_s", "required_bytes"}
    assert set(report["batches"][0]) == batch_keys


@pytest.mark.parametrize("host", ALL_HOSTS)
def test_exit_code_in_the_report_is_the_process_s(terminal: Terminal, host: str) -> None:
    finished = terminal.check("--json", host=host)

    assert json.loads(finished.out)["verdict"]["exit_code"] == finished.code


def test_figures_speak_of_the_batch_that_was_given(terminal: Terminal) -> None:
    free = json.loads(terminal.check("--json").out)
    given = json.loads(terminal.check("--json", "--batch-size", "1").out)

    assert free["batch_size"] == free["recommendation"]["batch_size"] > 1
    assert given["batch_size"] == 1
    assert given["memory"]["gpu"]["device_bytes"]["expected"] < free["memory"]["gpu"]["device_bytes"]["expected"]


@pytest.mark.parametrize("document", ["report", "hardware", "profile"])
def test_every_schema_is_a_schema(terminal: Terminal, document: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(terminal("schema", document).out))


@pytest.mark.parametrize("host", ALL_HOSTS)
def test_saved_machines_validate(terminal: Terminal, host: str) -> None:
    schema = json.loads(terminal("schema", "hardware").out)

    jsonschema.validate(json.loads((HOSTS / f"{host}.json").read_text()), schema)
