"""Model profiles by name, by alias or by file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from canitrain.catalog.decode import Owner, decode_json, read_bytes
from canitrain.catalog.locate import profiles_path
from canitrain.core.errors import CatalogError, InputError
from canitrain.core.profile import Defaults, Implementation, ModelProfile, Precision, Trace

_OURS_HINT = "install canitrain again; if that does not help, report it"
_USERS_HINT = "write it with: canitrain trace SPEC --output PROFILE.json"
_SUGGESTIONS = 3


class ModelEntry(Struct, frozen=True, kw_only=True):
    """What a list of models shows; decoding it skips the traces, so that all profiles together take milliseconds."""

    name: str
    title: str
    family: str
    aliases: tuple[str, ...] = ()
    implementation: Implementation
    defaults: Defaults
    classes: int
    parameters: int
    trainable_parameters: int
    traces: dict[Precision, msgspec.Raw]

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """The precisions that were traced."""
        return tuple(self.traces)


def load_model(name_or_path: str) -> ModelProfile:
    """The profile called ``name_or_path`` (case and ``-_. `` do not matter), or the profile file at that path.

    Raises:
        InputError: no model has that name (with the nearest names), or the file is missing, malformed or inconsistent.
        CatalogError: a profile that ships with canitrain does not decode.
    """
    if name_or_path.endswith(".json") or "/" in name_or_path or "\\" in name_or_path:
        return _decode(Path(name_or_path), Owner.USER)
    wanted = _plain(name_or_path)
    for path in _paths():
        if _plain(path.stem) == wanted:
            return _decode(path, Owner.CANITRAIN)
    for path, entry in _entries():
        if wanted in {_plain(name) for name in (entry.name, *entry.aliases)}:
            return _decode(path, Owner.CANITRAIN)
    raise InputError(f"no model is called {name_or_path!r}", hint=_suggestion(wanted))


def model_names() -> tuple[str, ...]:
    """The names of all profiles that ship with canitrain, sorted."""
    return tuple(sorted(path.stem for path in _paths()))


def list_models() -> tuple[ModelEntry, ...]:
    """Every profile that ships with canitrain, by family and then by size.

    Raises:
        CatalogError: one does not decode.
    """
    return tuple(sorted((entry for _, entry in _entries()), key=lambda entry: (entry.family, entry.parameters)))


def _paths() -> tuple[Path, ...]:
    return tuple(sorted((profiles_path() / "models").rglob("*.json")))


def _entries() -> Iterator[tuple[Path, ModelEntry]]:
    for path in _paths():
        raw = read_bytes(path, Owner.CANITRAIN, hint=_OURS_HINT)
        yield path, decode_json(raw, ModelEntry, path, Owner.CANITRAIN, hint=_OURS_HINT)


def _decode(path: Path, owner: Owner) -> ModelProfile:
    hint = _USERS_HINT if owner is Owner.USER else _OURS_HINT
    raw = read_bytes(path, owner, hint=hint)
    profile = decode_json(raw, ModelProfile, path, owner, hint=hint)
    problem = find_inconsistency(profile)
    if problem is None:
        return profile
    raise (InputError if owner is Owner.USER else CatalogError)(f"{path}: {problem}", hint=hint)


def find_inconsistency(profile: ModelProfile) -> str | None:
    """What contradicts itself in ``profile`` although every type is right, or ``None``."""
    positive = {
        "parameters": profile.parameters,
        "parameter_bytes": profile.parameter_bytes,
        "divisor": profile.divisor,
        "classes": profile.classes,
        "defaults.batch_size": profile.defaults.batch_size,
        "defaults.effective_batch_size": profile.defaults.effective_batch_size,
        "defaults.epochs": profile.defaults.epochs,
        "defaults.image_size.shorter": profile.defaults.image_size.shorter,
        "defaults.image_size.longer": profile.defaults.image_size.longer,
    }
    for key, value in positive.items():
        if value <= 0:
            return f"{key} is {value} and must be above zero"
    if profile.trainable_parameters > profile.parameters:
        return f"trainable_parameters is {profile.trainable_parameters}, more than parameters, {profile.parameters}"
    if not profile.traces:
        return "traces is empty"
    return next((problem for p, trace in profile.traces.items() if (problem := _trace_problem(p, trace))), None)


def _trace_problem(precision: Precision, trace: Trace) -> str | None:
    where = f"traces.{precision.value}"
    stages = {stage.name for stage in trace.stages}
    if not stages:
        return f"{where}.stages is empty"
    if len(stages) < len(trace.stages):
        return f"{where}.stages has two stages of one name"
    for index, peak in enumerate(trace.peaks):
        if peak.stage not in stages:
            return f"{where}.peaks[{index}].stage is {peak.stage!r}, which is no stage"
        if peak.convolution is not None and peak.convolution >= len(trace.convolutions):
            return f"{where}.peaks[{index}].convolution is {peak.convolution}, but there are {len(trace.convolutions)}"
    for index, convolution in enumerate(trace.convolutions):
        if min(convolution.in_channels, convolution.out_channels, convolution.groups, *convolution.kernel) <= 0:
            return f"{where}.convolutions[{index}] has channels, groups or a kernel of zero"
    return None


def _suggestion(wanted: str) -> str:
    """The nearest names as a hint."""
    import difflib  # noqa: PLC0415 -- only for an error

    by_plain = {_plain(name): name for _, entry in _entries() for name in (*entry.aliases, entry.name)}
    near = difflib.get_close_matches(wanted, by_plain, n=_SUGGESTIONS, cutoff=0.5)
    listed = " or ".join(by_plain[name] for name in near)
    return f"did you mean {listed}? all of them: canitrain models" if near else "see all of them: canitrain models"


def _plain(name: str) -> str:
    """``name`` without case and separators: ``Faster_R-CNN`` and ``fasterrcnn`` are one."""
    return re.sub(r"[-_. ]", "", name.lower())
