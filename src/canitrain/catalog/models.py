"""Model profiles by name, by alias or by file."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import msgspec
from msgspec import Struct

from canitrain.catalog.decode import Owner, decode_json, read_bytes
from canitrain.catalog.locate import profiles_path
from canitrain.core.errors import CatalogError, InputError
from canitrain.core.limits import LARGEST_COUNT, LARGEST_SIDE, MOST_WORKERS
from canitrain.core.model_entry import ModelEntry
from canitrain.core.profile import Defaults, Implementation, ModelProfile, Precision, SlackReplays, Trace

_OURS_HINT = "install canitrain again; if that does not help, report it"
_USERS_HINT = "write it with: canitrain trace SPEC --output PROFILE.json"
_PYTHON_FILE = re.compile(r"\.py(?::(?P<function>\w+))?$")
_RESNET = re.compile(r"(?<![a-z0-9])r[-_ ]?(?=(?:18|34|50|101|152)(?!\d))")
_ADDED = re.compile(r"\s*\(classifier\)$|\.(?:pt|pth|yaml|yml)$")
LIBRARIES = frozenset(("timm", "torchvision", "yolov5", "effdet"))
"""What may stand before the colon of ``timm:resnet50``, as in ``canitrain trace``."""
_SUGGESTIONS = 3
_OTHERS = "any other: canitrain trace timm:NAME --output NAME.json (or torchvision:, yolov5:, effdet:)"


class _Header(Struct, frozen=True, kw_only=True):
    """A profile whose traces are skipped, so that all profiles together decode in milliseconds."""

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
    notes: tuple[str, ...] = ()


def load_model(name_or_path: str) -> ModelProfile:
    """The profile called ``name_or_path`` (case and ``-_. `` do not matter), or the profile file at that path.

    Raises:
        InputError: no model has that name (with the nearest names), or the file is missing, malformed or inconsistent.
        CatalogError: a profile that ships with canitrain does not decode.
    """
    path, owner = _resolve(name_or_path)
    return _decode(path, owner)


def find_entry(name_or_path: str) -> ModelEntry:
    """The entry of the profile that ``load_model`` would give.

    Raises:
        InputError: as ``load_model``.
        CatalogError: as ``load_model``.
    """
    path, owner = _resolve(name_or_path)
    _decode(path, owner)
    return _entry(_header(path, owner))


def model_names() -> tuple[str, ...]:
    """The names of all profiles that ship with canitrain, sorted."""
    return tuple(sorted(path.stem for path in _paths()))


def list_models() -> tuple[ModelEntry, ...]:
    """Every profile that ships with canitrain, by family and then by size.

    Raises:
        CatalogError: one does not decode.
    """
    entries = [_entry(_header(path, Owner.CANITRAIN)) for path in _paths()]
    return tuple(sorted(entries, key=lambda entry: (entry.family, entry.parameters)))


def _paths() -> tuple[Path, ...]:
    return tuple(sorted((profiles_path() / "models").rglob("*.json")))


def _resolve(name_or_path: str) -> tuple[Path, Owner]:
    """The file that is meant: one that is named, one of ours by its own name, or one of ours by another."""
    if (code := _PYTHON_FILE.search(name_or_path)) is not None:
        file, function = name_or_path[: code.start()], code["function"] or "build"
        raise InputError(
            f"{name_or_path} is code, not a profile",
            hint=f"trace it first: canitrain trace {file}.py:{function} --output {Path(file).name}.json",
        )
    if name_or_path.endswith(".json") or "/" in name_or_path or "\\" in name_or_path:
        return Path(name_or_path), Owner.USER
    library, _, rest = name_or_path.rpartition(":")
    found = _find(rest, library.strip().lower() or None)
    if found is not None:
        return found, Owner.CANITRAIN
    if library.strip().lower() in LIBRARIES:
        raise InputError(
            f"no profile of {name_or_path!r} ships with canitrain",
            hint=f"trace it: canitrain trace {name_or_path} --output {rest}.json, then --model {rest}.json",
        )
    raise InputError(f"no model is called {name_or_path!r}", hint=_suggestion(_plain(name_or_path)))


def _find(name: str, library: str | None) -> Path | None:
    """The profile called ``name`` by itself, by an alias, by its title or as other libraries abbreviate it."""
    wanted, spelled_out = _plain(name), _spelled_out(name)
    paths = _paths()
    for path in paths:
        if _plain(path.stem) == wanted and library in (None, _header(path, Owner.CANITRAIN).implementation.library):
            return path
    # An alias is mostly a part of the file's name, so those files are opened first.
    ordered = sorted(paths, key=lambda path: wanted not in _plain(path.stem))
    for path in ordered:
        header = _header(path, Owner.CANITRAIN)
        named = {_plain(alias) for alias in header.aliases}
        if wanted in named and library in (None, header.implementation.library):
            return path
    for path in ordered:
        header = _header(path, Owner.CANITRAIN)
        named = {_spelled_out(alias) for alias in (header.name, header.title, *header.aliases)}
        if spelled_out in named and library in (None, header.implementation.library):
            return path
    return None


def _header(path: Path, owner: Owner) -> _Header:
    hint = _USERS_HINT if owner is Owner.USER else _OURS_HINT
    return decode_json(read_bytes(path, owner, hint=hint), _Header, path, owner, hint=hint)


def _entry(header: _Header) -> ModelEntry:
    fields = msgspec.structs.asdict(header)
    return ModelEntry(precisions=tuple(fields.pop("traces")), **fields)


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
    most = {
        "defaults.batch_size": (profile.defaults.batch_size, LARGEST_COUNT),
        "defaults.effective_batch_size": (profile.defaults.effective_batch_size, LARGEST_COUNT),
        "defaults.epochs": (profile.defaults.epochs, LARGEST_COUNT),
        "defaults.workers": (profile.defaults.workers, MOST_WORKERS),
        "defaults.image_size.longer": (profile.defaults.image_size.longer, LARGEST_SIDE),
        "defaults.image_size.shorter": (profile.defaults.image_size.shorter, LARGEST_SIDE),
    }
    for key, (value, limit) in most.items():
        if value > limit:
            return f"{key} is {value} and may be {limit} at most"
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
    replays = trace.slack_replays
    return None if replays is None else _replays_problem(f"{where}.slack_replays", replays)


def _replays_problem(where: str, replays: SlackReplays) -> str | None:
    if replays.pixels <= 0:
        return f"{where}.pixels is {replays.pixels} and must be above zero"
    if len(replays.batches) != len(replays.slack_bytes):
        return f"{where} has {len(replays.batches)} batches and {len(replays.slack_bytes)} slack_bytes"
    if not replays.batches or replays.batches[0] < 1 or any(a >= b for a, b in pairwise(replays.batches)):
        return f"{where}.batches must rise from 1 or more"
    return None


def _suggestion(wanted: str) -> str:
    """The nearest names as a hint."""
    import difflib  # noqa: PLC0415 -- only for an error

    headers = [_header(path, Owner.CANITRAIN) for path in _paths()]
    by_plain = {_plain(name): name for header in headers for name in (*header.aliases, header.name)}
    near = difflib.get_close_matches(wanted, by_plain, n=_SUGGESTIONS, cutoff=0.5)
    listed = " or ".join(by_plain[name] for name in near)
    start = f"did you mean {listed}? all of them" if near else "see all of them"
    return f"{start}: canitrain models; {_OTHERS}"


def _plain(name: str) -> str:
    """``name`` without case and separators: ``Faster_R-CNN`` and ``fasterrcnn`` are one."""
    return re.sub(r"[-_. ]", "", name.lower())


def _spelled_out(name: str) -> str:
    """``name`` as ``_plain`` has it, without what titles and files add, and with what others abbreviate.

    ``faster_rcnn_r50_fpn`` is ``Faster R-CNN R50-FPN``; ``yolov5s.pt`` is ``yolov5s``.
    """
    return _plain(_RESNET.sub("resnet", _ADDED.sub("", name.lower())))
