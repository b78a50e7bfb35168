"""What estimates rest on, and how wide the interval of time is for it."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from pencil import CALIBRATION, CARD, DATASET, HARDWARE, PROFILE, RECIPE, feed

from canitrain.catalog.calibration import load_calibration
from canitrain.core.evidence import EvidenceLevel
from canitrain.core.gpu import Generation
from canitrain.core.polynomial import Polynomial
from canitrain.core.profile import Convolution
from canitrain.estimate.memory_evidence import memory_evidence
from canitrain.estimate.run_time import run_time
from canitrain.estimate.time_evidence import time_evidence

replace = msgspec.structs.replace


def test_evidence_falls_from_fitted_card_to_architecture_to_datasheet():
    fitted = replace(CARD, name=CALIBRATION.fitted_cards[0])
    library = replace(PROFILE.implementation, library=CALIBRATION.fitted_libraries[0])
    known_model = replace(PROFILE, implementation=library)
    assert time_evidence(known_model, fitted, CALIBRATION).level is EvidenceLevel.CALIBRATED
    assert time_evidence(PROFILE, fitted, CALIBRATION).level is EvidenceLevel.GENERATION
    assert time_evidence(known_model, CARD, CALIBRATION).level is EvidenceLevel.GENERATION
    radeon = replace(CARD, generation=Generation.RDNA3)
    assert time_evidence(known_model, radeon, CALIBRATION).level is EvidenceLevel.DATASHEET


def test_intervals_widen_from_level_to_level():
    widths = {row.level: row for row in CALIBRATION.width}
    assert set(widths) == set(EvidenceLevel)
    ordered = [widths[level] for level in EvidenceLevel]
    for better, worse in pairwise(ordered):
        assert worse.low_ratio <= better.low_ratio <= 1 <= better.high_ratio <= worse.high_ratio


def test_a_library_that_no_fit_saw_widens_the_interval_on_every_device():
    library = replace(PROFILE.implementation, library=CALIBRATION.fitted_libraries[0])
    seen = replace(PROFILE, implementation=library)
    unfitted = CALIBRATION.unfitted_width
    for device in (replace(CARD, name=CALIBRATION.fitted_cards[0]), CARD, replace(CARD, generation=Generation.RDNA3)):
        known_s, unseen_s = (
            run_time(profile, RECIPE, DATASET, 16, device, HARDWARE, feed(), CALIBRATION).step_s
            for profile in (seen, PROFILE)
        )
        assert unseen_s.expected == known_s.expected
        # At least as wide as the level's own interval and as the unseen detectors'.
        assert unseen_s.low <= min(known_s.low, unfitted.low_ratio * unseen_s.expected * (1 + 1e-9))
        assert unseen_s.high >= max(known_s.high, unfitted.high_ratio * unseen_s.expected * (1 - 1e-9))
        assert "was in the fit" in time_evidence(PROFILE, device, CALIBRATION).detail
        assert "was in the fit" not in time_evidence(seen, device, CALIBRATION).detail


def test_only_grouped_convolutions_widen_the_interval_of_channels_last():
    pixels = Polynomial(b=100.0)
    shared = {"kernel": (3, 3), "count": Polynomial(one=1.0), "input_pixels": pixels, "output_pixels": pixels}
    spans = []
    for groups in (1, 64, 16):
        layer = Convolution(in_channels=64, out_channels=64, groups=groups, **shared)
        traces = {precision: replace(trace, convolutions=(layer,)) for precision, trace in PROFILE.traces.items()}
        profile = replace(PROFILE, traces=traces, implementation=replace(PROFILE.implementation, library="timm"))
        recipe = replace(RECIPE, channels_last=True)
        step_s = run_time(profile, recipe, DATASET, 16, CARD, HARDWARE, feed(), CALIBRATION).step_s
        spans.append(step_s.high / step_s.low)
    dense, depthwise, grouped = spans
    assert depthwise == pytest.approx(dense)
    assert grouped > 1.4 * dense


def test_a_laptop_card_is_said_to_have_its_makers_clock():
    card = replace(CARD, name=CALIBRATION.fitted_cards[0], laptop=True)
    assert "maker sets its clock" in time_evidence(PROFILE, card, CALIBRATION).detail
    assert "maker" not in time_evidence(PROFILE, replace(card, laptop=False), CALIBRATION).detail


@pytest.mark.parametrize(("version", "named"), [("1.0", "toys 1.0;"), ("unknown", "toys;")])
def test_a_file_of_ones_own_is_named_without_a_version(version, named):
    own = replace(PROFILE, implementation=replace(PROFILE.implementation, library="toys", version=version))
    assert f"traced from {named}" in memory_evidence(own, CARD, load_calibration().memory).detail
