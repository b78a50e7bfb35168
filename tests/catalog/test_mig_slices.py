"""A MIG slice is a share of its card, by memory where its multiprocessors are not told."""

import pytest
from detected_gpus import detected

from canitrain.catalog import find_card
from canitrain.catalog.identify import identify

WHOLE = find_card("A100-SXM4-40GB")
FIVE_GB_MIB = 4864.0
"""As a 1g.5gb slice reports it."""


def test_a_slice_without_a_count_has_its_share_of_the_multiprocessors() -> None:
    found = identify(detected("NVIDIA A100-SXM4-40GB MIG 1g.5gb", memory_mib=FIVE_GB_MIB, mig=True))
    assert found is not None
    # 4864 of 40,960 MiB are 0.119 of 108 multiprocessors: 12.8
    assert found.multiprocessors == 12
    assert found.memory_bytes_per_s == pytest.approx(WHOLE.memory_bytes_per_s * 4864 / 40_960)
    assert found.fp32_flops_per_s == pytest.approx(WHOLE.fp32_flops_per_s * 12 / 108)


def test_a_slice_with_a_count_computes_by_it_and_reads_by_its_memory() -> None:
    found = identify(detected("NVIDIA A100-SXM4-40GB MIG 1g.5gb", memory_mib=FIVE_GB_MIB, multiprocessors=14, mig=True))
    assert found is not None
    assert found.multiprocessors == 14
    assert found.fp32_flops_per_s == pytest.approx(WHOLE.fp32_flops_per_s * 14 / 108)


def test_the_smallest_slice_has_a_multiprocessor_and_the_largest_no_more_than_the_card() -> None:
    tiny, huge = (
        identify(detected("NVIDIA A100-SXM4-40GB MIG", memory_mib=size, mig=True)) for size in (1.0, 50_000.0)
    )
    assert tiny is not None
    assert tiny.multiprocessors == 1
    assert huge is not None
    assert (huge.multiprocessors, huge.memory_bytes_per_s) == (WHOLE.multiprocessors, WHOLE.memory_bytes_per_s)


def test_a_slice_of_an_unknown_card_or_size_is_unknown() -> None:
    assert identify(detected("NVIDIA Z999 MIG 1g.5gb", memory_mib=FIVE_GB_MIB, mig=True)) is None
    assert identify(detected("NVIDIA A100-SXM4-40GB MIG 1g.5gb", mig=True)) is None
