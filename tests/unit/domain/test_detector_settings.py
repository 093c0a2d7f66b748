"""Detector settings: their values, and changes of some of them."""

from __future__ import annotations

import pytest

from blemish.domain.detector_settings import (
    DEFAULT_SETTINGS,
    DetectorSettings,
    Sensitivity,
    detector_change,
)
from blemish.domain.errors import ValidationError


def test_a_change_leaves_what_it_does_not_name() -> None:
    settings = DetectorSettings(sensitivity=Sensitivity.STRICT, resolution=512)

    assert detector_change()(settings) == settings
    assert detector_change(resolution="auto")(settings) == DetectorSettings(
        sensitivity=Sensitivity.STRICT
    )
    assert detector_change(sensitivity="tolerant")(settings) == DetectorSettings(
        sensitivity=Sensitivity.TOLERANT, resolution=512
    )


@pytest.mark.parametrize("resolution", ["", "63", "4097", "-256", "256.0", "large", "²"])
def test_a_resolution_is_auto_or_a_number_of_pixels(resolution: str) -> None:
    with pytest.raises(ValidationError, match="from 64 to 4,096"):
        detector_change(resolution=resolution)


def test_an_unknown_sensitivity_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValidationError, match="'high' is none of strict, balanced, tolerant"):
        detector_change(sensitivity="high")


@pytest.mark.parametrize(
    "settings", [DEFAULT_SETTINGS, DetectorSettings(sensitivity=Sensitivity.STRICT, resolution=320)]
)
def test_settings_come_back_from_their_document(settings: DetectorSettings) -> None:
    assert DetectorSettings.of_document(settings.document()) == settings


def test_an_older_document_has_the_defaults() -> None:
    assert DetectorSettings.of_document({}) == DEFAULT_SETTINGS
