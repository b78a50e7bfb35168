"""A card that the catalog lacks, from the facts of its driver."""

import pytest
from bare_machine import machine
from detected_gpus import detected

from canitrain.catalog.cards import find_card
from canitrain.catalog.derive import derive
from canitrain.catalog.identify import complete, identify
from canitrain.core.fact import Known

# Facts as NVML reports them: MiB, compute capability, SMs, highest SM clock, highest memory clock in MHz, bus width.
NVML = {
    "A100-SXM4-40GB": (40960, "8.0", 108, 1410, 1215, 5120),
    "Tesla V100-SXM2-16GB": (16160, "7.0", 80, 1530, 877, 4096),
    "Tesla T4": (15360, "7.5", 40, 1590, 5001, 256),
    "L4": (23034, "8.9", 58, 2040, 6251, 192),
    "H100 80GB HBM3": (81559, "9.0", 132, 1980, 2619, 5120),
    "Tesla P40": (24576, "6.1", 30, 1531, 3615, 384),
    "GeForce RTX 3060": (12288, "8.6", 28, 2130, 7501, 192),
    "GeForce GTX 1080 Ti": (11264, "6.1", 28, 1911, 5505, 352),
}


@pytest.mark.parametrize("name", NVML)
def test_deriving_a_known_card_gives_its_datasheet_within_two_percent(name: str) -> None:
    memory_mib, capability, multiprocessors, boost_mhz, memory_mhz, bus_bits = NVML[name]
    gpu = detected(
        f"NVIDIA {name}",
        memory_mib=memory_mib,
        capability=capability,
        multiprocessors=multiprocessors,
        boost_mhz=boost_mhz,
        memory_mhz=memory_mhz,
        bus_bits=bus_bits,
    )
    row = find_card(name)

    spec = derive(gpu, name)

    assert spec is not None
    assert spec.generation is row.generation
    assert spec.memory_bytes_per_s == pytest.approx(row.memory_bytes_per_s, rel=0.02)
    assert spec.fp32_flops_per_s == pytest.approx(row.fp32_flops_per_s, rel=0.02)
    assert (spec.fp16_flops_per_s is None) == (row.fp16_flops_per_s is None)
    assert spec.fp16_flops_per_s is None or spec.fp16_flops_per_s == pytest.approx(row.fp16_flops_per_s, rel=0.02)
    assert spec.tf32_flops_per_s is None or spec.tf32_flops_per_s == pytest.approx(row.tf32_flops_per_s, rel=0.02)


def test_a_card_that_the_catalog_lacks_is_derived_and_says_so() -> None:
    unheard = detected(
        "NVIDIA GeForce RTX 3065",
        memory_mib=12288,
        capability="8.6",
        multiprocessors=32,
        boost_mhz=2100,
        memory_mhz=8000,
        bus_bits=192,
        laptop=False,
    )

    hardware = complete(machine(gpus=(unheard,)))

    assert isinstance(hardware.gpus, Known)
    spec = hardware.gpus.value[0].spec
    assert spec is not None
    assert spec.name == "GeForce RTX 3065"
    assert spec.source.startswith("derived")
    # 8000 MHz x 2 transfers x 192 / 8 bytes = 384 GB/s
    assert spec.memory_bytes_per_s == pytest.approx(384e9)
    assert [warning for warning in hardware.warnings if "derived" in warning]


def test_the_wrong_memory_of_a_known_name_is_derived_too() -> None:
    # A modified RTX 4090 with 48 GB keeps its name; its rates follow from its facts.
    modified = detected(
        "NVIDIA GeForce RTX 4090",
        memory_mib=49140,
        capability="8.9",
        multiprocessors=128,
        boost_mhz=3105,
        memory_mhz=10501,
        bus_bits=384,
    )

    spec = identify(modified)

    assert spec is not None
    assert spec.memory_bytes == 49140 * 2**20
    assert spec.fp16_flops_per_s == pytest.approx(165.2e12, rel=0.05)


@pytest.mark.parametrize(
    "missing", ["memory_mib", "capability", "multiprocessors", "boost_mhz", "memory_mhz", "bus_bits"]
)
def test_without_one_of_the_facts_there_is_no_specification(missing: str) -> None:
    facts = {
        "memory_mib": 12288,
        "capability": "8.6",
        "multiprocessors": 32,
        "boost_mhz": 2100,
        "memory_mhz": 8000,
        "bus_bits": 192,
    }
    del facts[missing]

    assert identify(detected("NVIDIA GeForce RTX 3065", **facts)) is None  # type: ignore[arg-type]


def test_a_generation_that_nobody_knows_is_not_guessed() -> None:
    future = detected(
        "NVIDIA R100",
        memory_mib=300000,
        capability="13.0",
        multiprocessors=200,
        boost_mhz=2000,
        memory_mhz=5000,
        bus_bits=8192,
    )

    assert identify(future) is None
