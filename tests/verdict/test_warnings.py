"""What a report warns of besides its verdict."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from runs import GPU, HARDWARE, REPORT, estimate, known, question

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Hardware, Package
from canitrain.core.report import Status
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


@pytest.mark.parametrize(("batch_size", "warned"), [(17, False), (19, False), (20, True), (200, True)])
def test_a_batch_far_beyond_the_recipes_says_what_keeping_to_it_costs(batch_size: int, *, warned: bool) -> None:
    asked = question(free_gib=5000.0, batch_size=batch_size)
    found = [each for each in warnings_of(asked, make_plan(asked, estimate)) if "an update after" in each]

    assert len(found) == warned
    assert all(f"an update after {batch_size} images" in each for each in found)
    # 16 / 17 against 20 / 21 and 200 / 201 of 10 images a second
    cost = "--batch-size 16 (9.4 instead of 10 images/s)" if batch_size > 20 else "--batch-size 16, which is as fast"
    assert all(each.endswith(cost) for each in found)


def test_a_recipes_batch_that_does_not_surely_fit_is_not_suggested() -> None:
    asked = question(free_gib=17.0, batch_size=24)
    plan = make_plan(asked, estimate)
    found = [each for each in warnings_of(asked, plan) if "an update after 24 images" in each]

    assert [each.status for each in plan.candidates if each.batch_size == 16] == [Status.TIGHT]
    assert len(found) == 1
    assert "--batch-size" not in found[0]


@pytest.mark.parametrize(("library", "told"), [("torchvision", 1), ("my_model.py", 0)])
def test_a_batch_given_for_a_file_is_its_recipe(library: str, told: int) -> None:
    asked = question(free_gib=5000.0, batch_size=64)
    code = replace(asked.profile.implementation, library=library)
    asked = replace(asked, profile=replace(asked.profile, implementation=code))
    found = [each for each in warnings_of(asked, make_plan(asked, estimate)) if "an update after 64 images" in each]

    assert len(found) == told


def test_an_update_hundreds_of_times_as_large_is_told_in_plain_numbers() -> None:
    asked = question(gpus=8, batch_size=1024)
    found = [each for each in warnings_of(asked, make_plan(asked, estimate)) if "an update after" in each]

    assert found[0].startswith("an update after 8,192 images is 512x the recipe's 16")


def test_one_image_on_each_of_many_gpus_may_already_be_more_than_the_recipes() -> None:
    asked = question(gpus=8, nodes=4, batch_size=1)
    found = [each for each in warnings_of(asked, make_plan(asked, estimate)) if "an update after" in each]

    assert len(found) == 1
    assert found[0].startswith("an update after 32 images is 2x the recipe's 16: raise the learning rate")
    assert "--batch-size" not in found[0]


@pytest.mark.parametrize("images", [1, 3, 12])
def test_fewer_images_than_the_recipes_batch_ask_for_a_smaller_learning_rate(images: int) -> None:
    asked = replace(question(), dataset=replace(REPORT.dataset, images=images))
    found = " ".join(warnings_of(asked, make_plan(asked, estimate)))

    assert f"{images} image{'s' * (images > 1)} cannot fill the recipe's effective batch of 16" in found
    assert "an update after" not in found


@pytest.mark.parametrize(
    ("mig", "other_mig", "warned"), [(True, True, False), (False, False, True), (True, False, True)]
)
def test_another_slice_of_one_card_is_of_no_different_kind(*, mig: bool, other_mig: bool, warned: bool) -> None:
    own, other = replace(GPU, mig=mig), replace(GPU, index=1, mig=other_mig)
    asked = question(hardware=replace(HARDWARE, gpus=known((own, other))))
    asked = replace(asked, target=replace(asked.target, gpus=(own,), weakest=own))
    found = " ".join(warnings_of(asked, make_plan(asked, estimate)))

    assert ("cards of different kinds" in found) is warned
