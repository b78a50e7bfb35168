"""What a report warns of besides its verdict."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from runs import HARDWARE, estimate, known, question

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Hardware, Package
from canitrain.verdict.plan import make_plan
from canitrain.verdict.warnings import warnings_of

TORCH = known(Package(name="torch", version="2.13.0"))


def machine(torch: Known[Package] | Unknown, *libraries: str) -> Hardware:
    packages = tuple(Package(name=name, version="1.0") for name in libraries)
    return replace(HARDWARE, software=replace(HARDWARE.software, torch=torch, libraries=packages))


@pytest.mark.parametrize(
    ("hardware", "warned"),
    [
        (machine(TORCH), True),
        (machine(TORCH, "timm"), True),
        (machine(TORCH, "timm", "torchvision"), False),
        (machine(Unknown(reason="the GPU was described, not probed")), False),
    ],
    ids=["torch alone", "another library", "its own library", "software not asked about"],
)
def test_a_missing_model_library_is_named_with_its_install_command(hardware: Hardware, *, warned: bool) -> None:
    asked = question(hardware=hardware)
    assert asked.profile.implementation.library == "torchvision"

    found = warnings_of(asked, make_plan(asked, estimate))

    assert any("pip install torchvision" in warning for warning in found) is warned


@pytest.mark.parametrize(
    ("batch_size", "warning"),
    [
        # 11 of the recipe's 16 images: neither one step nor two come near.
        (11, "an update after 11 images is 0.69x the recipe's 16"),
        (10, "an update after 20 images is 1.2x the recipe's 16"),
        (7, None),  # 2 steps: 14
        (9, None),  # 2 steps: 18
        (15, None),
    ],
)
def test_updates_far_from_the_recipes_come_with_a_batch_that_keeps_them(batch_size: int, warning: str | None) -> None:
    asked = question(batch_size=batch_size)
    found = [each for each in warnings_of(asked, make_plan(asked, estimate)) if "an update after" in each]

    assert [each.split(":")[0] for each in found] == ([warning] if warning else [])
    assert all(each.endswith("or take --batch-size 8 with 2 accumulation steps") for each in found)
