from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from blemish.cli.main import app
from blemish.engine.bundle import Bundle
from tests.unit.house import PROJECT, House
from tests.unit.service.models.test_bundles import BUNDLE

HISTORY: dict[str, Any] = {
    "backbone": {"name": "waves", "sha256": "0" * 64},
    "held_out_images": {
        "normal": 30,
        "anomaly": 12,
        "image_auroc": 0.9312,
        "precision": 0.9,
        "recall": 0.75,
        "f1": None,
    },
    "notes": ["The anomaly label 'hole' is left out of segmentation."],
}
SELECTION = {
    "chosen": "subspace, heads x 1",
    "scores": {"subspace": 1.0, "picture head": 1.0},
    "alignment": {"subspace": 0.2},
    "candidates": [
        {"name": "average", "image_auroc": 0.875, "standard_error": 0.0},
        {"name": "subspace, heads x 1", "image_auroc": 0.953, "standard_error": 0.021},
    ],
}


def shown(house: House, bundle: Bundle) -> str:
    house.project()
    house.images(normal=15)
    model = house.trained()
    assert model.bundle is not None
    house.bundles.remove(model.bundle)
    house.bundles.add(model.bundle, bundle, kms_key_id=None)
    command = ["models", "show", PROJECT, "1", "--data-dir", str(house.directory.root)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def with_history(history: dict[str, Any], **changes: Any) -> Bundle:
    return replace(BUNDLE, info=replace(BUNDLE.info, history=history, **changes))


def test_the_choice_and_all_candidates_are_shown(house: House) -> None:
    text = shown(house, with_history(HISTORY | {"selection": SELECTION}))

    rows = [line.split() for line in text.splitlines()]
    assert ["average", "0.875", "0.000"] in rows
    assert ["subspace,", "heads", "x", "1", "0.953", "0.021", "chosen"] in rows
    assert ["made", "of", "subspace", "1,", "image", "head", "1"] in rows  # older bundles: picture
    assert "30 normal, 12 anomaly" in text
    assert "'hole' is left out" in text


def test_a_moved_threshold_is_told_with_the_trained_one(house: House) -> None:
    assert "1.5, moved from 1.2" in shown(
        house, with_history(HISTORY, threshold=1.5, moved_from=1.2)
    )


def test_an_older_bundle_without_a_selection_is_shown_too(house: House) -> None:
    text = shown(house, with_history(HISTORY))

    assert "scattering" in text  # `waves` was its name
    assert "candidate" not in text


@pytest.mark.usefixtures("house")
def test_a_model_that_is_not_there_is_named(house: House) -> None:
    command = ["models", "show", PROJECT, "7", "--data-dir", str(house.directory.root)]

    refused = CliRunner().invoke(app, command)

    assert refused.exit_code == 2
    assert PROJECT in refused.stderr
