"""Help: every command shows an example of itself."""

from __future__ import annotations

import pytest
from commands import Terminal

from canitrain.catalog.locate import profiles_path
from canitrain.cli.app import COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_shows_an_example(terminal: Terminal, command: str) -> None:
    finished = terminal(command, "--help")

    assert finished.code == 0
    assert finished.err == ""
    after = finished.out.partition("Examples:")[2]
    assert f"canitrain {command}" in after


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_help_names_every_command(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    finished = terminal(*arguments)

    assert all(command in finished.out for command in COMMANDS)
    assert "canitrain check --model fasterrcnn --images 20000" in finished.out


def test_help_names_every_dataset(terminal: Terminal) -> None:
    text = terminal("check", "--help").out.replace("\n", " ")

    assert all(path.stem in text for path in (profiles_path() / "datasets").glob("*.toml"))


def test_nothing_typed_is_no_error_with_an_empty_message(terminal: Terminal) -> None:
    finished = terminal()

    assert (finished.code, finished.err) == (2, "")


def test_every_option_of_the_design_is_there(terminal: Terminal) -> None:
    text = terminal("check", "--help").out
    options = [
        "--model",
        "--images",
        "--data",
        "--image-size",
        "--batch-size",
        "--epochs",
        "--precision",
        "--optimizer",
        "--workers",
        "--boxes-per-image",
        "--cache",
        "--device",
        "--gpu",
        "--hardware",
        "--cpu-cores",
        "--ram",
        "--storage",
        "--strategy",
        "--nodes",
        "--network",
        "--freeze",
        "--max-time",
        "--assume-idle",
        "--format",
        "--json",
        "--output",
        "--fail-on",
        "--explain",
        "--dataset",
        "--image-bytes",
        "--price-per-hour",
        "--checkpointing",
        "--multi-scale",
        "--channels-last",
        "--quiet",
        "--exit-zero",
    ]

    assert [option for option in options if option not in text] == []
