"""What a slower host, an older release of torch and more kernels do to a run, whatever the run."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pencil import CALIBRATION, CARD, DATASET, HARDWARE, NOT_KNOWN, PROFILE, RECIPE, TRACE, feed, known

from canitrain.core.feed import CoreShares, Feed
from canitrain.core.hardware import Hardware, Package
from canitrain.core.interval import Interval
from canitrain.core.loop import Handover, StepPart
from canitrain.core.polynomial import Polynomial
from canitrain.core.profile import Precision, Work, WorkKind
from canitrain.core.recipe import Recipe, Strategy
from canitrain.core.report import Time
from canitrain.estimate.launches import host_slowness
from canitrain.estimate.run_time import run_time

SAME = 1 + 1e-9
SURE = replace(
    CALIBRATION,
    width=tuple(replace(row, low_ratio=1 - 1e-9, high_ratio=1 + 1e-9) for row in CALIBRATION.width),
    unfitted_width=replace(CALIBRATION.unfitted_width, low_ratio=1 - 1e-9, high_ratio=1 + 1e-9),
    run=replace(CALIBRATION.run, validation_host_image_s=replace(CALIBRATION.run.validation_host_image_s, value=0.0)),
)
"""Everything but the host is known for sure: the interval's ends are the host's alone, rounding apart. Validation
launches too."""
FAST = replace(
    CARD, memory_bytes_per_s=8e12, fp32_flops_per_s=8e13, tf32_flops_per_s=1e15, fp16_flops_per_s=2e15,
    multiprocessors=148,
)  # fmt: skip
"""Waits for launches at small batches."""
CARDS = st.sampled_from([CARD, FAST])
CLOCKS = st.one_of(st.none(), st.floats(0.5e9, 8e9))
RELEASES = st.sampled_from([None, "1.4", "1.13.1", "2.0", "2.13.0"])
HANDOVERS = st.builds(
    Handover,
    batch_s=st.floats(0, 0.05),
    image_s=st.floats(0, 0.01),
    copied_image_s=st.floats(0, 0.01),
    reads_after=st.frozensets(st.sampled_from(StepPart)),
)
FEEDS = st.builds(
    lambda loader, launching, spinning, loop: replace(
        feed(loader_images_per_s=loader),
        handover=loop,
        shares=CoreShares(
            loading_ratio=1.0, launching_ratio=launching, spinning_ratio=min(launching, spinning)
        ),
    ),
    loader=st.floats(5, 2e3), launching=st.floats(0, 0.99), spinning=st.floats(0, 0.99), loop=HANDOVERS,
)  # fmt: skip
"""Loaders that want the cores which launch."""
RECIPES = st.builds(
    lambda **changes: replace(RECIPE, effective_batch_size=64, **changes),
    precision=st.sampled_from(Precision),
    ema=st.booleans(),
    checkpointing=st.booleans(),
    epochs=st.sampled_from([1, 2, 100]),
)
SHARED = st.one_of(
    st.fixed_dictionaries({"gpus": st.sampled_from([1, 2, 8]), "strategy": st.sampled_from(Strategy)}),
    st.fixed_dictionaries({"gpus": st.sampled_from([1, 4]), "nodes": st.sampled_from([2, 8])}),
)
BATCHES = st.integers(1, 128)
laws = settings(max_examples=150, deadline=None, derandomize=True)


def host(max_hz: float | None = None, base_hz: float | None = None, torch: str | None = None) -> Hardware:
    facts = {
        name: NOT_KNOWN if hz is None else known(hz) for name, hz in {"max_hz": max_hz, "base_hz": base_hz}.items()
    }
    release = NOT_KNOWN if torch is None else known(Package(name="torch", version=torch))
    software = replace(HARDWARE.software, torch=release)
    return replace(HARDWARE, cpu=replace(HARDWARE.cpu, **facts), software=software)


def timed(
    hardware, recipe=RECIPE, batch_size=16, *, card=FAST, loop=None, profile=PROFILE, calibration=CALIBRATION
) -> Time:
    fed = replace(feed(), handover=loop or Handover())
    return run_time(profile, recipe, DATASET, batch_size, card, hardware, fed, calibration)


def fed_by_few_cores(hardware: Hardware, recipe: Recipe, batch_size: int, fed: Feed, calibration=CALIBRATION) -> Time:
    return run_time(PROFILE, recipe, DATASET, batch_size, FAST, hardware, fed, calibration)


def spans(time: Time) -> tuple[Interval, Interval, Interval]:
    return (time.step_s, time.epoch_s, time.total_s)


def assert_never_quicker(slower: Time, quicker: Time) -> None:
    for more, less in zip(spans(slower), spans(quicker), strict=True):
        assert less.low <= more.low * SAME
        assert less.expected <= more.expected * SAME
        assert less.high <= more.high * SAME


@laws
@given(
    hz=st.floats(0.5e9, 8e9), ratio=st.floats(1, 4), torch=RELEASES, turbo=st.booleans(), recipe=RECIPES,
    batch_size=BATCHES, loop=HANDOVERS, card=CARDS,
)  # fmt: skip
def test_a_slower_clock_is_never_quicker(*, hz, ratio, torch, turbo, recipe, batch_size, loop, card):
    hosts = (host(max_hz=each if turbo else None, base_hz=each, torch=torch) for each in (hz, hz * ratio))
    assert_never_quicker(*(timed(each, recipe, batch_size, loop=loop, card=card) for each in hosts))


@laws
@given(st.floats(0.5e9, 8e9), st.floats(1, 4), RECIPES, SHARED, BATCHES)
def test_nor_among_several_gpus(hz, ratio, recipe, shared, batch_size):
    recipe = replace(recipe, **shared)
    assert_never_quicker(timed(host(hz), recipe, batch_size), timed(host(hz * ratio), recipe, batch_size))


@laws
@given(CLOCKS, RECIPES, BATCHES, HANDOVERS)
def test_an_old_release_is_never_quicker(max_hz, recipe, batch_size, loop):
    old, today, either = (
        timed(host(max_hz, torch=torch), recipe, batch_size, loop=loop) for torch in ("1.13.1", "2.13.0", None)
    )
    assert_never_quicker(old, today)
    assert spans(today) == spans(either)


@laws
@given(CLOCKS, CLOCKS, RELEASES)
def test_every_host_has_an_interval(max_hz, base_hz, torch):
    slowness = host_slowness(host(max_hz, base_hz, torch), CALIBRATION.launch)
    assert 0 < slowness.low <= slowness.expected <= slowness.high


@laws
@given(RECIPES, SHARED, BATCHES, st.sampled_from(["1.13.1", "2.13.0"]))
def test_the_interval_of_an_unknown_host_holds_what_each_release_takes_there(recipe, shared, batch_size, torch):
    recipe = replace(recipe, **shared)
    told = timed(host(torch=torch), recipe, batch_size, calibration=SURE)
    unknown = timed(host(), recipe, batch_size, calibration=SURE)
    for held, figure in zip(spans(unknown), spans(told), strict=True):
        assert held.low <= figure.expected * SAME
        assert figure.expected <= held.high * SAME


@laws
@given(
    kind=st.sampled_from(WorkKind), side=st.sampled_from(["forward", "backward"]), stage=st.integers(0, 1),
    kernels=st.floats(0, 1e4), hz=CLOCKS, recipe=RECIPES, batch_size=BATCHES, card=CARDS,
)  # fmt: skip
def test_more_kernels_are_never_quicker(*, kind, side, stage, kernels, hz, recipe, batch_size, card):
    own = getattr(TRACE.stages[stage], side)
    work = own.get(kind, Work())
    more = replace(work, kernels=Polynomial(one=work.kernels.one + kernels, b=work.kernels.b))
    stages = list(TRACE.stages)
    stages[stage] = replace(stages[stage], **{side: {**own, kind: more}})
    traces = dict.fromkeys(Precision, replace(TRACE, stages=tuple(stages)))
    larger = timed(host(hz), recipe, batch_size, card=card, profile=replace(PROFILE, traces=traces))
    assert_never_quicker(larger, timed(host(hz), recipe, batch_size, card=card))


@laws
@given(
    hosts=st.tuples(st.floats(0.5e9, 8e9), st.floats(1, 4), st.booleans()),
    recipe=RECIPES,
    batch_size=BATCHES,
    fed=FEEDS,
)
def test_a_slower_clock_beside_a_loader_is_never_quicker(hosts, recipe, batch_size, fed):
    hz, ratio, turbo = hosts
    hosts = (host(max_hz=each if turbo else None, base_hz=each) for each in (hz, hz * ratio))
    assert_never_quicker(*(fed_by_few_cores(each, recipe, batch_size, fed) for each in hosts))


@laws
@given(RECIPES, BATCHES, FEEDS, st.sampled_from(["1.13.1", "2.13.0"]))
def test_nor_does_a_loader_put_a_release_outside_the_interval_of_an_unknown_host(recipe, batch_size, fed, torch):
    told = fed_by_few_cores(host(torch=torch), recipe, batch_size, fed, SURE)
    unknown = fed_by_few_cores(host(), recipe, batch_size, fed, SURE)
    for held, figure in zip(spans(unknown), spans(told), strict=True):
        assert held.low <= figure.expected * SAME
        assert figure.expected <= held.high * SAME
