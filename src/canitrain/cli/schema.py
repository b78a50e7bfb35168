"""``canitrain schema``: the JSON Schema of what canitrain reads and writes."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from canitrain.cli.output import answer

DIALECT = "https://json-schema.org/draft/2020-12/schema"
EXAMPLES = (
    "canitrain schema report > report.schema.json",
    "canitrain schema hardware",
)


class SchemaName(enum.Enum):
    """Documents with a published schema."""

    REPORT = "report"
    HARDWARE = "hardware"
    PROFILE = "profile"


def schema_command(
    document: Annotated[SchemaName, typer.Argument(help="Which document.")] = SchemaName.REPORT,
) -> int:
    """Print the JSON Schema of a report, a hardware file or a model profile."""
    answer(schema_text(document))
    return 0


def schema_text(document: SchemaName) -> str:
    """The JSON Schema (draft 2020-12) of ``document``, generated from the types, as indented JSON."""
    import msgspec  # noqa: PLC0415  # only this command needs the schema generator

    from canitrain.core.hardware import Hardware  # noqa: PLC0415
    from canitrain.core.profile import ModelProfile  # noqa: PLC0415
    from canitrain.core.report import Report  # noqa: PLC0415

    types = {SchemaName.REPORT: Report, SchemaName.HARDWARE: Hardware, SchemaName.PROFILE: ModelProfile}
    schema = {"$schema": DIALECT, **msgspec.json.schema(types[document])}
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode()
