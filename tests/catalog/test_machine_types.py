"""Machines named in place of their cards."""

import re

import pytest

from canitrain.catalog.cards import describe_gpus
from canitrain.catalog.machine_types import find_machine_type, load_machine_types


def test_every_machine_names_gpus_that_can_be_typed_and_where_that_is_written() -> None:
    for machine in load_machine_types():
        assert describe_gpus(machine.gpus)
        assert machine.source
        re.compile(machine.pattern)


@pytest.mark.parametrize(
    ("name", "gpus"),
    [
        ("p3.8xlarge", "4x V100 16GB"),
        ("P4D.24XLARGE", "8x A100 40GB"),
        ("p5en.48xlarge", "8x H200"),
        ("g4dn.xlarge", "T4"),
        ("g5.48xlarge", "8x A10G"),
        ("a2-ultragpu-4g", "4x A100 80GB"),
        ("g2-standard-24", "2x L4"),
        ("Standard NC6s v3", "V100 PCIe 16GB"),
        ("nd96amsr_a100_v4", "8x A100 80GB"),
        ("NVIDIA DGX-1", "8x V100"),
        ("dgx h100", "8x H100"),
    ],
)
def test_a_machine_is_found_by_its_name(name: str, gpus: str) -> None:
    machine = find_machine_type(name)

    assert machine is not None
    assert machine.gpus == gpus


@pytest.mark.parametrize("name", ["T4", "a100", "c5.xlarge", "g5", "p3.9xlarge", ""])
def test_no_other_name_is_a_machine(name: str) -> None:
    assert find_machine_type(name) is None
