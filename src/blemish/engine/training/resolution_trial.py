"""The resolution of a detector where labels do not decide: a trial on drawn marks.

A higher resolution shows smaller defects, takes four times as long, and may show more of the noise
of normal images. So normal images are compared with copies that have a small mark, as they look at
each resolution. A higher resolution must rank the copies clearly better above other normal images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from blemish.domain.entities import Label
from blemish.engine.backbones.embedding import Embedder
from blemish.engine.images.decode import ImageLimits, decode
from blemish.engine.images.resize import least_decoded, resize
from blemish.engine.images.sizes import pixel_size
from blemish.engine.scorers.memory_bank import (
    MEMORY_BANK,
    PROJECTED_WIDTH,
    MemoryBank,
    bank_projections,
    fit_memory_bank,
)
from blemish.engine.scorers.pooling import image_score
from blemish.engine.scorers.positions import border_weights
from blemish.engine.training.drawn_marks import with_mark
from blemish.engine.training.labeled_images import Progress, ProgressCallback
from blemish.engine.training.sampling import patch_quota, sample_rows
from blemish.engine.training.validation import TrainingSet

MARK_LENGTHS = (16, 32, 64)
"""Lengths of the marks, in pixels of the higher resolution."""

MIN_GAIN = 0.05
"""How much larger the share of ranked copies must be."""

MOST_MISSED = 0.65
"""Share of the copies that are missed at the lower resolution and may be missed at the higher one.
Of castings it is .5 from 256 to 512 pixels, and real defects are found better too. Of cookies it is
.75, and at 512 pixels the image AUROC of their real defects falls by up to .06."""

MIN_NORMALS = 10
"""Different normal images that a trial needs: half of them are learned from."""

MIN_DETAIL = 0.06
"""Amplitude of the octave that only the higher resolution shows, as a share of that of the two
octaves below. Sharp images have .07 to .3; the same images, enlarged four times, .03 to .08."""

_PLAIN = 6.0
"""Levels of 255 that are added to the octaves below, so that plain images show no rounding as
detail."""

_MAX_LEARNED, _MAX_MARKED = 12, 8
_BANK_ROWS = 500


@dataclass(frozen=True, kw_only=True)
class ResolutionTrial:
    """The result of a trial."""

    #: index of the selected resolution
    selected: int
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _TrialImages:
    """Pixels (H, W, 3) at the highest resolution that is compared."""

    learned: Sequence[NDArray[np.uint8]]
    marked: Sequence[NDArray[np.uint8]]


def try_resolutions(
    images: TrainingSet,
    embedders: Sequence[Embedder],
    *,
    limits: ImageLimits,
    seed: int,
    progress: ProgressCallback,
) -> ResolutionTrial:
    """Compare each resolution with the next higher one, until that is not clearly better.

    The result depends on the images and the seed alone, not on the order of the images.

    Args:
        images: with at least `MIN_NORMALS` different normal images, or the lowest is selected.
        embedders: one for each resolution, the lowest first.
        limits: how large an image may be.
        seed: of the marks.
        progress: called after each comparison.
    """
    digests = {
        entry.digest: position
        for position, entry in enumerate(images.images)
        if entry.image.label is Label.NORMAL
    }
    positions = [digests[digest] for digest in sorted(digests)]
    if len(positions) < MIN_NORMALS or len(embedders) < 2:
        return ResolutionTrial(selected=0, notes=())
    notes: list[str] = []
    for index, (lower, higher) in enumerate(pairwise(embedders)):
        pixels = _decoded(images, positions, higher.size, limits=limits)
        sharp = float(np.median([finer_detail(entry) for entry in pixels.marked])) >= MIN_DETAIL
        shares = [
            _ranked_share(embedder, pixels, seed=seed) if sharp else 0.0
            for embedder in (lower, higher)
        ]
        progress(Progress(step="comparing resolutions", done=index + 1, total=len(embedders) - 1))
        if not _is_clearly_better(shares):
            reason = _shares_text(shares) if sharp else "the images hold no finer detail"
            note = f"Images are seen at {_size(lower)} pixels, not at {_size(higher)}: {reason}."
            return ResolutionTrial(selected=index, notes=(note,))
        notes = [
            f"Images are seen at {_size(higher)} pixels instead of {_size(embedders[0])}, which "
            f"takes longer: {_shares_text(shares)}."
        ]
    return ResolutionTrial(selected=len(embedders) - 1, notes=tuple(notes))


def _is_clearly_better(shares: Sequence[float]) -> bool:
    lower, higher = shares
    return higher - lower >= MIN_GAIN and 1 - higher <= MOST_MISSED * (1 - lower)


def finer_detail(pixels: NDArray[np.uint8]) -> float:
    """Return the amplitude of an image's (H, W, 3) highest octave, as a share of the two below.

    The highest octave lies above the Nyquist limit of half the resolution.
    """
    height, width = pixels.shape[:2]
    luminance = pixels.mean(axis=2)
    window = np.outer(np.hanning(height), np.hanning(width))
    waves = np.fft.rfft2((luminance - luminance.mean()) * window)
    amplitudes = np.abs(waves) * math.sqrt(2) / float(np.linalg.norm(window) * window.size**0.5)
    rows, columns = np.abs(np.fft.fftfreq(height)), np.fft.rfftfreq(width)
    frequency = np.maximum(rows[:, np.newaxis], columns)
    highest = np.linalg.norm(amplitudes[frequency >= 1 / 4])
    below = np.linalg.norm(amplitudes[(frequency >= 1 / 16) & (frequency < 1 / 4)])
    return float(highest / (below + _PLAIN))


def _decoded(
    images: TrainingSet, positions: Sequence[int], size: tuple[int, int], *, limits: ImageLimits
) -> _TrialImages:
    """Decode some images for a graph of a (width, height): other ones are marked than learned."""
    width, height = size
    marked = min(_MAX_MARKED, len(positions) // 2)
    pixels = []
    for position in positions[: marked + _MAX_LEARNED]:
        image = decode(
            images.images[position].image.read(),
            limits=limits,
            at_least=least_decoded(width, height),
            sample_bits=images.sample_bits,
        )
        pixels.append(resize(image.pixels, width=width, height=height))
    return _TrialImages(marked=pixels[:marked], learned=pixels[marked:])


def _ranked_share(embedder: Embedder, pixels: _TrialImages, *, seed: int) -> float:
    """Return how often an image with a mark scores above another normal image, 0 to 1.

    The difference that a mark makes is compared with the deviation of normal scores, so that few
    images suffice.
    """
    width, height = embedder.size
    generator = np.random.default_rng(seed)
    projections = bank_projections(
        embedder.channels, seed=seed, alternatives=False, networks=embedder.networks
    )

    def projected(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows = embedder.embed(resize(image, width=width, height=height))
        return rows @ projections[MEMORY_BANK.name]

    quota = patch_quota(len(pixels.learned))
    candidates = np.concatenate(
        [sample_rows(projected(image), quota, generator=generator) for image in pixels.learned]
    )
    banks = _banks(candidates, generator=generator)
    weights = border_weights(embedder.grid)

    def score(image: NDArray[np.uint8]) -> float:
        return image_score(_patch_scores(banks, projected(image)) * weights)

    before = np.array([score(image) for image in pixels.marked])
    gains = []
    for row, image in enumerate(pixels.marked):
        for length in MARK_LENGTHS:
            drawing = np.random.default_rng([seed, row, length])
            marked = with_mark(image, length, narrow=row % 2 == 1, generator=drawing)
            gains.append(score(marked) - before[row])
    spread = math.sqrt(2) * max(float(before.std(ddof=1)), 1e-12)
    return float(np.mean([0.5 * (1 + math.erf(gain / spread / math.sqrt(2))) for gain in gains]))


def _banks(candidates: NDArray[np.float32], *, generator: np.random.Generator) -> list[MemoryBank]:
    """Return a small bank for each network: of its columns of the projected candidates."""
    identity = np.eye(PROJECTED_WIDTH, dtype=np.float32)
    return [
        fit_memory_bank(part, identity, generator=generator, rows=_BANK_ROWS)
        for part in _of_networks(candidates)
    ]


def _of_networks(rows: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return the columns of projected patches (n, p * networks) that belong to each network."""
    return np.split(rows, rows.shape[1] // PROJECTED_WIDTH, axis=1)


def _patch_scores(banks: Sequence[MemoryBank], rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the geometric mean (n,) of the distances of projected patches to the banks."""
    pairs = zip(banks, _of_networks(rows), strict=True)
    distances = [bank.patch_scores(part) for bank, part in pairs]
    scores: NDArray[np.float32] = np.prod(distances, axis=0) ** np.float32(1 / len(distances))
    return scores


def _shares_text(shares: Sequence[float]) -> str:
    lower, higher = (f"{100 * share:.0f} %" for share in shares)
    return (
        f"small marks that were drawn on normal images stand out in {higher} of comparisons at the "
        f"higher resolution, and in {lower} at the lower one"
    )


def _size(embedder: Embedder) -> str:
    return pixel_size(embedder.size)
