"""The entry point: finds the command, imports only its module, turns errors into exit codes."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated

import typer

from canitrain.cli.exit_codes import ExitCode
from canitrain.cli.output import end_stdout, open_closed_streams, tell
from canitrain.core.errors import CanitrainError, CatalogError
from canitrain.core.version import VERSION

COMMANDS = {
    "check": "canitrain.cli.check:check_command",
    "probe": "canitrain.cli.probe:probe_command",
    "doctor": "canitrain.cli.doctor:doctor_command",
    "models": "canitrain.cli.models:models_command",
    "gpus": "canitrain.cli.gpus:gpus_command",
    "trace": "canitrain.cli.trace:trace_command",
    "measure": "canitrain.cli.measure:measure_command",
    "accuracy": "canitrain.cli.accuracy:accuracy_command",
    "schema": "canitrain.cli.schema:schema_command",
}
"""Command: module and function. A module's ``EXAMPLES`` (lines) end up below its ``--help``."""

PROGRAM = "canitrain"
COMPLETION_VARIABLE = "_CANITRAIN_COMPLETE"
DEBUG_VARIABLE = "CANITRAIN_DEBUG"
OBJECTS_BEFORE_COLLECTION = 200_000
"""New objects before Python looks for garbage; tracing and measuring, which make some, get there soon."""
NO_ARGUMENTS = "NoArgsIsHelpError"
"""What click raises where nothing was typed; typer may bring its own copy of the class."""
INCOMPLETE = ("MissingParameter", "BadOptionUsage")
"""What click raises where an option, an argument, or an option's value is missing."""
_TOP_EXAMPLES = (
    "canitrain check --model fasterrcnn --images 20000",
    'canitrain check --model yolov5m --data ./my-images --gpu "RTX 3060"',
)


def main() -> None:
    """Run the command line of this process and exit."""
    # A check makes few objects and all of them last: collecting garbage meanwhile takes a tenth of its time.
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
    open_closed_streams()
    code = run(sys.argv[1:])
    # All is written. Taking every object apart first would cost another tenth, and wait for sources that hang.
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; its exit code. Only here do errors become codes."""
    try:
        app = build_app(_commands_to_load(arguments))
        code = app(list(arguments), prog_name=PROGRAM, standalone_mode=False)
        end_stdout()
    except SystemExit as left:  # how click ends completion, and a help text whose reader went away
        return _left(left)
    except CanitrainError as error:
        tell(f"error: {error.message}\nhint: {error.hint}")
        return ExitCode.BUG if isinstance(error, CatalogError) else ExitCode.BAD_INPUT
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001  # the last resort: whatever it is becomes exit 70
        if isinstance(error, _click_exception()):
            return _usage_error(error, arguments)
        return _bug(error)
    return int(code or ExitCode.FINE)


def build_app(names: Iterable[str]) -> typer.Typer:
    """The typer app with the commands of ``names``, whose modules are imported here."""
    app = typer.Typer(
        help="Can this machine train that object detector? Memory, time and a verdict, before a GPU-hour is spent.",
        epilog=_examples(_TOP_EXAMPLES),
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    app.callback(invoke_without_command=True, no_args_is_help=True)(_top)
    for name in names:
        module_name, function_name = COMMANDS[name].split(":")
        module = importlib.import_module(module_name)
        epilog = _examples(getattr(module, "EXAMPLES", ()))
        app.command(name, epilog=epilog)(getattr(module, function_name))
    return app


def _top(
    *,
    version: Annotated[bool, typer.Option("--version", is_eager=True, help="Show the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"{PROGRAM} {VERSION}")
        raise typer.Exit


def _commands_to_load(arguments: Sequence[str]) -> tuple[str, ...]:
    """The one command that was typed; all of them for help, completion and mistyped names; none for the version."""
    if arguments and arguments[0] == "--version":
        return ()
    if COMPLETION_VARIABLE not in os.environ and arguments and arguments[0] in COMMANDS:
        return (arguments[0],)
    return tuple(COMMANDS)


def _examples(lines: Iterable[str]) -> str | None:
    """An epilog with one line an example (typer keeps only blank lines)."""
    listed = "\n\n".join(line.replace("[", "\\[") for line in lines)  # no markup in examples
    return f"Examples:\n\n{listed}" if listed else None


def _click_exception() -> type[Exception]:
    """Click's base of all usage errors, also where typer brings its own copy of click."""
    usage_error = typer.BadParameter.__base__
    assert usage_error is not None
    base = usage_error.__base__
    assert base is not None
    return base


def _usage_error(error: Exception, arguments: Sequence[str]) -> int:
    if type(error).__name__ == NO_ARGUMENTS:  # its message is the help, which is printed by now
        return ExitCode.BAD_INPUT
    message = _in_our_words(error) or (error.format_message() if hasattr(error, "format_message") else str(error))
    one_line = " ".join(message.split()).rstrip(".")
    tell(f"error: {one_line[:1].lower()}{one_line[1:]}\nhint: {_usage_hint(error, arguments)}")
    return ExitCode.BAD_INPUT


def _usage_hint(error: Exception, arguments: Sequence[str]) -> str:
    """A command line that works, where something is missing from this one; else where its options are explained."""
    name = arguments[0] if arguments and arguments[0] in COMMANDS else None
    if name is None:
        return f"see `{PROGRAM} --help`"
    if type(error).__name__ in INCOMPLETE:
        example = importlib.import_module(COMMANDS[name].partition(":")[0]).EXAMPLES[0]
        return f"write it like: {example}"
    return f"see `{PROGRAM} {name} --help`"


def _in_our_words(error: Exception) -> str | None:
    """A value that an option does not take, without click's names of types; ``None`` for any other error."""
    parameter = getattr(error, "param", None)
    if type(error).__name__ != "BadParameter" or parameter is None:
        return None
    said = str(getattr(error, "message", error))
    name = max(parameter.opts, key=len) if parameter.param_type_name == "option" else parameter.name
    kind = getattr(parameter, "type", None)
    least, most = getattr(kind, "min", None), getattr(kind, "max", None)
    if least is None and most is None:
        return f"{name}: {said}"
    bounds = f"from {least} on" if most is None else f"from {least} to {most:,}"
    return f"{name} needs a whole number {bounds}, not {said.partition(' is not ')[0]}"


def _left(left: SystemExit) -> int:
    """A reader that went away is no error."""
    gone = isinstance(left.__context__, BrokenPipeError)
    return left.code if isinstance(left.code, int) and not gone else ExitCode.FINE


def _bug(error: Exception) -> int:
    if os.environ.get(DEBUG_VARIABLE):
        raise error
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    tell(
        f"error: canitrain failed, this is no verdict ({reason})\n"
        f"hint: run again with {DEBUG_VARIABLE}=1 and report the traceback with `canitrain doctor`"
    )
    return ExitCode.BUG
