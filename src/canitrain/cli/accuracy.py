"""``canitrain accuracy``: measured runs against their predictions."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from canitrain.accuracy import host_of, images_of, recipe_of, replay
from canitrain.cli.dataset import DEFAULT_DATASET
from canitrain.cli.exit_codes import ExitCode
from canitrain.cli.output import answer, check_writable, file_to_write, tell, terminal_columns
from canitrain.core.accuracy import CPU_NAME, Accuracy, Grouping, Measurement, Run, Skipped
from canitrain.core.dataset import Dataset
from canitrain.core.errors import InputError
from canitrain.core.gpu import GpuSpec
from canitrain.core.loop import Loop, find_loop
from canitrain.core.profile import ModelProfile
from canitrain.core.recipe import Recipe
from canitrain.core.units import counted, format_duration

APART_RATIO = 1.5
"""How far a step's time and the images a second of one row may be apart before a reader is told; logs round both."""
_DATASET_NAMES = {
    **dict.fromkeys(("coco2017", "mscoco", "mscoco2017"), "coco"),
    **dict.fromkeys(("imagenet1k", "ilsvrc2012"), "imagenet"),
    **dict.fromkeys(("pascalvoc", "voc0712"), "voc"),
}
"""Other names of known datasets, without case and punctuation; other years have other images."""
EXAMPLES = (
    "canitrain accuracy --measurements runs.csv",
    "canitrain accuracy --measurements runs.csv --json --max-median 8% --min-coverage 0.9",
)


def accuracy_command(
    *,
    measurements: Annotated[
        Path, typer.Option("--measurements", metavar="FILE.csv", help="Measured runs, one a line.")
    ],
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", metavar="NAME", help="Whose images they trained on; coco unless a row says."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Rows and groups as JSON.")] = False,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", parser=file_to_write, help="Write the tables there.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE.svg", parser=file_to_write, help="Draw predicted against measured there."),
    ] = None,
    note: Annotated[
        str | None, typer.Option("--note", metavar="TEXT", help="What the Markdown should say about the runs.")
    ] = None,
    max_median: Annotated[
        str | None, typer.Option("--max-median", metavar="8%", help="Exit 1 where a median error is above it.")
    ] = None,
    min_coverage: Annotated[
        str | None, typer.Option("--min-coverage", metavar="90%", help="Exit 1 where less is inside the intervals.")
    ] = None,
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="Leave out models and GPUs that have no profile here.")
    ] = False,
) -> int:
    """Replay measured runs: predicted, measured, error, and a summary by family, GPU and memory kind.

    The file: a header with model, batch_size (images a GPU) and gpu, and any of
    gpus, image_size, precision, optimizer, memory_kind (allocated, reserved or
    device), memory_bytes, step_s, images_per_s (of all GPUs), epoch_s (with
    images or dataset), what was frozen, the loader's cores and workers, and
    others. All columns, their units and meaning: docs/measured-runs.md.
    """
    bounds = (_ratio("--max-median", max_median), _ratio("--min-coverage", min_coverage))
    for path in (markdown, plot):
        if path is not None:
            check_writable(path)
    accuracy = _replay(measurements, dataset, skip_unknown=skip_unknown)
    if markdown is not None:
        from canitrain.render.accuracy_markdown import accuracy_markdown  # noqa: PLC0415

        picture = plot.name if plot is not None else None
        markdown.write_text(accuracy_markdown(accuracy, plot=picture, note=note), encoding="utf-8")
    if plot is not None:
        from canitrain.render.accuracy_plot import accuracy_plot  # noqa: PLC0415

        plot.write_text(accuracy_plot(accuracy), encoding="utf-8")
    if as_json:
        from canitrain.render.accuracy_json import accuracy_json  # noqa: PLC0415

        answer(accuracy_json(accuracy))
    else:
        from canitrain.render.accuracy_text import accuracy_text  # noqa: PLC0415

        answer(accuracy_text(accuracy, terminal_columns()))
    missed = _missed(accuracy, *bounds)
    for message in missed:
        tell(message)
    return ExitCode.NO_GO if missed else ExitCode.FINE


def _replay(path: Path, dataset: str | None, *, skip_unknown: bool) -> Accuracy:
    """Read, resolve and replay.

    Raises:
        InputError: the file, a model, a GPU or a field is wrong.
    """
    from canitrain import catalog  # noqa: PLC0415
    from canitrain.catalog.measurements import load_measured_runs  # noqa: PLC0415

    # A profile takes milliseconds to decode, and a file names each many times.
    load_model = functools.cache(catalog.load_model)
    usual, calibration = catalog.load_dataset(dataset or DEFAULT_DATASET), catalog.load_calibration()
    runs, skipped = [], []
    file = load_measured_runs(path)
    if not file.measurements:
        raise InputError(f"{path} holds no measured run", hint="write one a line below the header")
    if file.unread_columns:
        tell(f"note: not read: column {', '.join(file.unread_columns)}")
    if any(each.cores is None and _says_loader(each) for each in file.measurements):
        tell("note: rows without cores: their images are taken to come fast enough, whatever workers or storage say")
    for measurement in file.measurements:
        if measurement.gpu.lower() == CPU_NAME:
            skipped.append(Skipped(row=measurement.row, reason="ran on a CPU, and the file does not say which"))
            continue
        try:
            profile = load_model(measurement.model)
            card, recipe = _card(measurement), recipe_of(measurement, profile)
            _check_loop(profile, recipe, calibration.host.loop)
            images = images_of(measurement, _known_dataset(measurement, usual))
        except InputError as error:
            if not skip_unknown:
                raise InputError(f"{path} row {measurement.row}: {error.message}", hint=error.hint) from None
            skipped.append(Skipped(row=measurement.row, reason=error.message))
        else:
            run = Run(
                measurement=measurement,
                profile=profile,
                card=card,
                recipe=recipe,
                dataset=images,
                epoch_is_known=any((measurement.images, measurement.dataset, dataset)),
                hardware=host_of(measurement),
            )
            runs.append(run)
            for contradiction in _contradictions(run, images):
                tell(f"note: row {measurement.row}: {contradiction}")
    return replay(runs, usual, calibration, skipped=tuple(skipped))


def _check_loop(profile: ModelProfile, recipe: Recipe, loops: Sequence[Loop]) -> None:
    """Refuse a training loop that nobody knows.

    Raises:
        InputError: no loop has the recipe's name.
    """
    try:
        find_loop(loops, profile, recipe)
    except InputError as error:
        names = ", ".join(loop.name for loop in loops)
        raise InputError(error.message, hint=f"write {names}, or leave loop empty: the library's own") from None


def _says_loader(measurement: Measurement) -> bool:
    return any(fact is not None for fact in (measurement.workers, measurement.storage, measurement.ram_bytes))


def _known_dataset(measurement: Measurement, usual: Dataset) -> Dataset:
    """Whose images the row's are like: those of the dataset it names, else ``usual``.

    Raises:
        InputError: the row names an unknown dataset and does not say how many images it has.
    """
    from canitrain.catalog import load_dataset  # noqa: PLC0415
    from canitrain.catalog.datasets import dataset_names  # noqa: PLC0415

    if measurement.dataset is None:
        return usual
    plain = re.sub(r"[^a-z0-9]+", "", measurement.dataset.lower())
    names = {re.sub(r"[^a-z0-9]+", "", name): name for name in dataset_names()} | _DATASET_NAMES
    if plain in names:
        return load_dataset(names[plain])
    if measurement.images is None:
        raise InputError(
            f"no dataset is called {measurement.dataset!r}, and images is empty",
            hint=f"write how many training images it has in images; known are {', '.join(dataset_names())}",
        )
    tell(f"note: row {measurement.row}: images of {measurement.dataset!r} are taken to be like {usual.name}'s")
    return usual


def _card(measurement: Measurement) -> GpuSpec:
    """The card of ``gpu``, which may be written with its number where that is the one of ``gpus``.

    Raises:
        InputError: no card is called that, several are, or the numbers differ.
    """
    from canitrain.catalog.card_names import parse_counts  # noqa: PLC0415
    from canitrain.catalog.cards import find_card  # noqa: PLC0415

    entries = parse_counts(measurement.gpu)
    count, name = entries[0]
    if len(entries) > 1:
        raise InputError(f"gpu is {measurement.gpu!r}, {len(entries)} cards", hint="a row is of one kind of card")
    if count not in (1, measurement.gpus):
        raise InputError(
            f"gpu is {measurement.gpu!r} and gpus is {measurement.gpus}",
            hint=f"write {name} in gpu and {count} in gpus; batch_size is a GPU's",
        )
    return find_card(name)


def _contradictions(run: Run, images: Dataset) -> Iterator[str]:
    """What the figures of a row's time say of each other where they cannot be of one run."""
    row = run.measurement
    together = row.batch_size * row.gpus
    if row.step_s is not None and row.images_per_s is not None:
        implied = together / row.step_s
        if not 1 / APART_RATIO < row.images_per_s / implied < APART_RATIO:
            yield (f"step_s was taken, and is {implied:.4g} images a second over all GPUs, not {row.images_per_s:.4g}")
    if row.epoch_s is not None and run.epoch_is_known:
        step_s = row.step_s or (together / row.images_per_s if row.images_per_s else 0.0)
        steps_s = images.images / together * step_s
        if steps_s > row.epoch_s * APART_RATIO:
            yield (
                f"epoch_s is {format_duration(row.epoch_s)}, and its {counted(images.images, 'image')} take "
                f"{format_duration(steps_s)} by the row's own speed: is images right, and batch_size that of one GPU?"
            )


def _ratio(option: str, text: str | None) -> float | None:
    """``8%`` or ``0.08``."""
    if text is None:
        return None
    number = text.strip().removesuffix("%")
    try:
        ratio = float(number) / (100 if number != text.strip() else 1)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise InputError(f"{option} is {text!r}", hint="write it like 8% or 0.08")
    return ratio


def _missed(accuracy: Accuracy, max_median: float | None, min_coverage: float | None) -> tuple[str, ...]:
    """What was asked for and is not so, for memory, time and epochs, each over all rows."""
    found = []
    if not accuracy.rows and (max_median is not None or min_coverage is not None):
        found.append("missed: no row could be compared")
    for group in (group for group in accuracy.groups if group.by is Grouping.ALL):
        name = group.quantity.value
        if max_median is not None and group.median_error > max_median:
            found.append(f"missed: median error of {name} is {group.median_error:.1%}, above {max_median:.1%}")
        if min_coverage is not None and group.coverage < min_coverage:
            found.append(f"missed: coverage of {name} is {group.coverage:.1%}, below {min_coverage:.1%}")
    return tuple(found)
