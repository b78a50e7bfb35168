"""Errors of the option parser, whichever version of typer raised them."""

from __future__ import annotations

import types

from canitrain.cli import app


class BadParameter(Exception):  # noqa: N818
    """As typer's, whose later versions give a parameter no ``type``."""

    ctx = None
    param = types.SimpleNamespace(opts=["-n", "--steps"], param_type_name="option", name="steps")
    message = "Input should be at least 1"


def test_a_parameter_without_a_type_is_a_usage_error_all_the_same(capsys):
    assert app._usage_error(BadParameter()) == 2
    assert capsys.readouterr().err.splitlines()[0] == "error: --steps: Input should be at least 1"
