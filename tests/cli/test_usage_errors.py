"""Errors of the option parser, whichever version of typer raised them."""

from __future__ import annotations

import types

import pytest

from canitrain.cli import app


class BadParameter(Exception):  # noqa: N818
    """As typer's, whose later versions give a parameter no ``type``."""

    ctx = None
    param = types.SimpleNamespace(opts=["-n", "--steps"], param_type_name="option", name="steps")
    message = "Input should be at least 1"


def test_a_parameter_without_a_type_is_a_usage_error_all_the_same(capsys):
    assert app._usage_error(BadParameter(), ()) == 2
    assert capsys.readouterr().err.splitlines()[0] == "error: --steps: Input should be at least 1"


@pytest.mark.parametrize(
    "arguments",
    [
        ("check",),
        ("check", "--images", "5"),
        ("check", "--model"),
        ("trace",),
        ("trace", "timm:resnet18"),
        ("measure",),
        ("accuracy",),
    ],
)
def test_where_something_is_missing_the_hint_is_a_command_line_that_has_it(arguments, capsys):
    assert app.run(arguments) == 2
    hint = capsys.readouterr().err.splitlines()[-1]
    assert hint.startswith(f"hint: write it like: canitrain {arguments[0]} ")


def test_a_mistyped_option_leads_to_the_help_of_its_command(capsys):
    assert app.run(("check", "--modle", "yolov5s")) == 2
    assert "see `canitrain check --help`" in capsys.readouterr().err
