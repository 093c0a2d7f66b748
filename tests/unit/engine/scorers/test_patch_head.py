import numpy as np
from numpy.typing import NDArray

from blemish.domain.entities import Label
from blemish.engine.scorers.memory_bank import fit_memory_bank
from blemish.engine.scorers.patch_head import fit_patch_head
from blemish.engine.training.features import EmbeddedImage

WIDTH, PATCHES = 6, 200
DEFECT = np.array([0, 0, 0, 0, 3, 3], dtype=np.float32)
DISTRACTION = np.array([9, 0, 0, 0, 0, 0], dtype=np.float32)
"""Differs from normal more than the defect does, and is on good and bad images alike."""


def image(seed: int, label: Label, *, masked: bool = False) -> EmbeddedImage:
    generator = np.random.default_rng(seed)
    embeddings = generator.normal(0, 1, (PATCHES, WIDTH)).astype(np.float32)
    embeddings[50] += DISTRACTION
    marked = np.zeros(PATCHES, dtype=np.float32)
    if label is Label.ANOMALY:
        embeddings[:10] += DEFECT
        marked[:10] = 1
    return EmbeddedImage.of(label, embeddings, fold=0, marked=marked if masked else None)


def images(count: int, *, masked: bool = False, first: int = 0) -> list[EmbeddedImage]:
    return [
        image(first + seed, label, masked=masked)
        for label in (Label.NORMAL, Label.ANOMALY)
        for seed in range(count)
    ]


def defect_scores(training: list[EmbeddedImage]) -> NDArray[np.float32]:
    """Return margins of a fresh anomaly's patches."""
    normal = [entry.embeddings for entry in training if entry.label is Label.NORMAL]
    same, generator = np.eye(WIDTH, dtype=np.float32), np.random.default_rng(0)
    bank = fit_memory_bank(np.concatenate(normal), same, generator=generator)
    head = fit_patch_head(training, bank, generator=generator)
    return head.patch_scores(image(900, Label.ANOMALY).embeddings)


def test_a_patch_head_learns_what_masks_mark_and_not_what_is_strange() -> None:
    margins = defect_scores(images(8, masked=True))

    assert np.median(margins[:10]) > 0
    assert np.median(margins[:10]) > margins[50]
    assert np.median(margins[10:]) < 0


def test_without_masks_it_finds_which_patches_make_the_difference() -> None:
    margins = defect_scores(images(12))

    assert np.median(margins[:10]) > np.median(margins[10:])
    assert np.median(margins[:10]) > margins[50]
