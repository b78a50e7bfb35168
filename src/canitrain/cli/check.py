"""``canitrain check``: will this training run fit, how long will it take, with which batch size, and what stops it?"""

from __future__ import annotations

from canitrain.check import check
from canitrain.cli import check_options as options
from canitrain.cli.dataset import DatasetOptions, find_dataset, usual_dataset
from canitrain.cli.machine import MachineOptions, find_machine, here
from canitrain.cli.output import answer, append_summary, check_writable, tell, terminal_columns, wants_color, write_file
from canitrain.cli.recipe import PrecisionChoice, RecipeOptions, decide_recipe
from canitrain.cli.verdict_code import exit_code
from canitrain.core.accuracy import Measurement
from canitrain.core.errors import InputError
from canitrain.core.hardware import THIS_MACHINE, Hardware
from canitrain.core.profile import ModelProfile
from canitrain.core.recipe import CacheMode, DeviceChoice, Freeze
from canitrain.core.report import Report, Status
from canitrain.render import render
from canitrain.render.formats import Format
from canitrain.verdict.device import best_kind

EXAMPLES = (
    "canitrain check --model fasterrcnn --images 20000",
    'canitrain check --model yolov5m --data ./images --gpu "2x RTX 3060" --epochs 100',
    "canitrain check --model efficientdet-d4 --images 5000 --hardware host.json --json",
    "Exit codes: 0 go or tight, 1 no-go, 2 bad input, 3 unknown, 70 a bug of ours.",
)


def check_command(
    *,
    model: options.Model,
    images: options.Images = None,
    data: options.Data = None,
    dataset: options.DatasetName = None,
    image_bytes: options.ImageBytes = None,
    boxes_per_image: options.BoxesPerImage = None,
    hardware: options.HardwareFile = None,
    gpu: options.GpuText = None,
    nodes: options.Nodes = 1,
    network: options.Network = None,
    cpu_cores: options.CpuCores = None,
    ram: options.RamText = None,
    storage: options.Storage = None,
    disk: options.Disk = None,
    device: options.Device = DeviceChoice.AUTO,
    assume_idle: options.AssumeIdle = False,
    image_size: options.ImageSizeText = None,
    batch_size: options.BatchSize = None,
    epochs: options.Epochs = None,
    precision: options.PrecisionName = PrecisionChoice.AUTO,
    optimizer: options.OptimizerName = None,
    workers: options.Workers = None,
    cache: options.Cache = CacheMode.NONE,
    strategy: options.StrategyName = None,
    freeze: options.FreezeName = Freeze.NONE,
    checkpointing: options.Checkpointing = False,
    multi_scale: options.MultiScale = False,
    channels_last: options.ChannelsLast = False,
    loop: options.Loop = None,
    max_time: options.MaxTime = None,
    price_per_hour: options.Price = None,
    output_format: options.OutputFormat = None,
    as_json: options.AsJson = False,
    output: options.OutputFile = None,
    explain: options.Explain = False,
    quiet: options.Quiet = False,
    fail_on: options.FailOnStatus = options.FailOn.UNKNOWN,
    exit_zero: options.ExitZero = False,
) -> int:
    """Will this training run fit, how long will it take, with which batch size, and what stops it?"""
    wanted = _format(output_format, as_json=as_json)
    if output is not None:
        check_writable(output)
    images_asked = DatasetOptions(
        name=dataset, images=images, data=data, image_bytes=image_bytes, boxes_per_image=boxes_per_image
    )
    images_asked.refuse_contradictions()
    recipe_asked = RecipeOptions(
        image_size=image_size,
        batch_size=batch_size,
        epochs=epochs,
        precision=precision,
        optimizer=optimizer,
        workers=workers,
        cache=cache,
        device=device,
        nodes=nodes,
        network=network,
        strategy=strategy,
        freeze=freeze,
        max_time=max_time,
        price_per_hour=price_per_hour,
        assume_idle=assume_idle,
        channels_last=channels_last,
        loop=loop,
        checkpointing=checkpointing,
        multi_scale=multi_scale,
    )
    recipe_asked.refuse_contradictions()
    profile = _load_model(model)
    machine_asked = MachineOptions(hardware=hardware, gpu=gpu, cpu_cores=cpu_cores, ram=ram, storage=storage, disk=disk)
    machine = find_machine(machine_asked, data or here())
    report = _check(machine, profile, images_asked, recipe_asked)

    if output is not None:
        write_file(output, render(report, wanted, explain=explain))
        if not quiet:
            tell(f"{report.verdict.status.value}: the report is in {output}")
    elif not quiet and wanted is Format.GITHUB:
        _to_github(report, explain=explain)
    elif not quiet:
        answer(render(report, wanted, columns=terminal_columns(), color=wants_color(), explain=explain))
    return exit_code(report.verdict.status, fail_on, exit_zero=exit_zero)


def _to_github(report: Report, *, explain: bool) -> None:
    """Annotations to the log; the Markdown to the job's summary, or below them where there is none."""
    if append_summary(render(report, Format.MARKDOWN, explain=explain)):
        from canitrain.render.github import render_annotations  # noqa: PLC0415  # for this format only

        answer(render_annotations(report))
    else:
        answer(render(report, Format.GITHUB, explain=explain))


def _format(asked: Format | None, *, as_json: bool) -> Format:
    """What ``--format`` and ``--json`` ask for together.

    Raises:
        InputError: they ask for two different ones.
    """
    if as_json and asked not in (None, Format.JSON):
        raise InputError(f"--json and --format {asked.value} were both given", hint="give one of them")
    return Format.JSON if as_json else asked or Format.TEXT


def _load_model(name: str) -> ModelProfile:
    from canitrain.catalog import load_model  # noqa: PLC0415  # after the options were found sound

    return load_model(name)


def _check(
    machine: Hardware, profile: ModelProfile, images_asked: DatasetOptions, recipe_asked: RecipeOptions
) -> Report:
    """The report; where the machine has no GPU or does not do, with the catalog's cards that would."""
    from canitrain.catalog import load_calibration, load_cards  # noqa: PLC0415

    dataset, recipe = find_dataset(images_asked, usual_dataset(profile)), decide_recipe(recipe_asked, profile, machine)
    calibration, measured = load_calibration(), _measured_here(machine)
    if best_kind(machine, recipe.device):
        report = check(machine, profile, dataset, recipe, calibration, (), measured)
        if report.verdict.status is Status.GO:
            return report
    return check(machine, profile, dataset, recipe, calibration, load_cards(), measured)


def _measured_here(machine: Hardware) -> tuple[Measurement, ...]:
    """What ``canitrain measure`` remembered; it says nothing about any other machine.

    A file that cannot be read, which the user did not name, costs its measurements and not the answer.
    """
    if machine.origin != THIS_MACHINE:
        return ()
    from canitrain.measure import remembered_path  # noqa: PLC0415  # not for saved machines

    path = remembered_path()
    if not path.exists():
        return ()
    from canitrain.catalog.measurements import load_measurements  # noqa: PLC0415

    try:
        return load_measurements(path)
    except InputError as error:
        tell(f"warning: nothing that was measured here counts: {error.message}\nhint: delete it, and measure again")
        return ()
