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
from PIL import Image, ImageFilter

from blemish.domain.entities import Label
from blemish.engine.backbones.embedding import Embedder
from blemish.engine.images.decode import ImageLimits, decode
from blemish.engine.images.regions import InspectedArea, Regions
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
from blemish.engine.training.inspected_areas import inspected_area
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

_SOFT_BORDER = 8
"""Pixels over which the weight of detail falls at the border of what counts."""

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
    #: what counts in them; None for everything
    area: InspectedArea | None


def try_resolutions(
    images: TrainingSet,
    embedders: Sequence[Embedder],
    *,
    limits: ImageLimits,
    seed: int,
    progress: ProgressCallback,
    regions: Regions | None = None,
) -> ResolutionTrial:
    """Compare each resolution with the next higher one, until that is not clearly better.

    The result depends on the images and the seed alone, not on the order of the images.

    Args:
        images: with at least `MIN_NORMALS` different normal images, or the lowest is selected.
        embedders: one for each resolution, the lowest first.
        limits: how large an image may be.
        seed: of the marks.
        progress: called at the start, and after each comparison.
        regions: what counts in the stored images; None for everything.

    Raises:
        TrainingError: nothing counts.
    """
    positions = _normal_positions(images)
    if len(positions) < MIN_NORMALS or len(embedders) < 2:
        return ResolutionTrial(selected=0, notes=())
    notes: list[str] = []
    comparisons = len(embedders) - 1
    progress(Progress(step="comparing resolutions", done=0, total=comparisons))
    for index, (lower, higher) in enumerate(pairwise(embedders)):
        lower_area, higher_area = (
            inspected_area(images, regions, embedder) for embedder in (lower, higher)
        )
        pixels = _decoded(images, positions, higher.size, limits=limits, area=higher_area)
        sharp = _median_detail(pixels) >= MIN_DETAIL
        shares = [
            _ranked_share(embedder, pixels, seed=seed, area=area) if sharp else 0.0
            for embedder, area in ((lower, lower_area), (higher, higher_area))
        ]
        progress(Progress(step="comparing resolutions", done=index + 1, total=comparisons))
        if not _is_clearly_better(shares):
            reason = _shares_text(shares) if sharp else "the images hold no finer detail"
            note = f"Images are seen at {_size(lower)} pixels, not at {_size(higher)}: {reason}."
            return ResolutionTrial(selected=index, notes=(note,))
        notes = [
            f"Images are seen at {_size(higher)} pixels instead of {_size(embedders[0])}, which "
            f"takes longer: {_shares_text(shares)}."
        ]
    return ResolutionTrial(selected=len(embedders) - 1, notes=tuple(notes))


def _normal_positions(images: TrainingSet) -> list[int]:
    """Return the positions of different normal images, in an order that only they decide."""
    digests = {
        entry.digest: position
        for position, entry in enumerate(images.images)
        if entry.image.label is Label.NORMAL
    }
    return [digests[digest] for digest in sorted(digests)]


def _is_clearly_better(shares: Sequence[float]) -> bool:
    lower, higher = shares
    return higher - lower >= MIN_GAIN and 1 - higher <= MOST_MISSED * (1 - lower)


def _median_detail(pixels: _TrialImages) -> float:
    inspected = None if pixels.area is None else pixels.area.pixels
    return float(np.median([finer_detail(image, inspected) for image in pixels.marked]))


def finer_detail(pixels: NDArray[np.uint8], inspected: NDArray[np.bool_] | None = None) -> float:
    """Return the amplitude of an image's highest octave, as a share of the two below.

    The highest octave lies above the Nyquist limit of half the resolution.

    Args:
        pixels: (H, W, 3).
        inspected: (H, W) where the image counts; None for everywhere.
    """
    height, width = pixels.shape[:2]
    luminance = pixels.mean(axis=2)
    window = np.outer(np.hanning(height), np.hanning(width))
    mean = luminance.mean()
    if inspected is not None:
        window = window * _soft(inspected)
        mean = np.average(luminance, weights=window)
    waves = np.fft.rfft2((luminance - mean) * window)
    amplitudes = np.abs(waves) * math.sqrt(2) / float(np.linalg.norm(window) * window.size**0.5)
    rows, columns = np.abs(np.fft.fftfreq(height)), np.fft.rfftfreq(width)
    frequency = np.maximum(rows[:, np.newaxis], columns)
    highest = np.linalg.norm(amplitudes[frequency >= 1 / 4])
    below = np.linalg.norm(amplitudes[(frequency >= 1 / 16) & (frequency < 1 / 4)])
    return float(highest / (below + _PLAIN))


def _soft(inspected: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return weights (H, W) that fall towards the border of what counts, and are 0 beyond it.

    A hard border would show as detail.
    """
    inner = Image.fromarray(inspected.astype(np.uint8) * 255).filter(
        ImageFilter.MinFilter(2 * _SOFT_BORDER + 1)
    )
    soft = np.asarray(inner.filter(ImageFilter.GaussianBlur(_SOFT_BORDER / 2)), dtype=np.float32)
    weights = np.where(inspected, soft / 255, np.float32(0))
    return weights if weights.any() else inspected.astype(np.float32)


def _decoded(
    images: TrainingSet,
    positions: Sequence[int],
    size: tuple[int, int],
    *,
    limits: ImageLimits,
    area: InspectedArea | None,
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
    return _TrialImages(marked=pixels[:marked], learned=pixels[marked:], area=area)


def _ranked_share(
    embedder: Embedder, pixels: _TrialImages, *, seed: int, area: InspectedArea | None
) -> float:
    """Return how often an image with a mark scores above another normal image, 0 to 1.

    The difference that a mark makes is compared with the deviation of normal scores, so that few
    images suffice.

    Args:
        embedder: at one resolution.
        pixels: the images.
        seed: of the marks.
        area: what counts at the resolution of the embedder; None for everything.
    """
    width, height = embedder.size
    generator = np.random.default_rng(seed)
    projections = bank_projections(
        embedder.channels, seed=seed, alternatives=False, networks=embedder.networks
    )

    def projected(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        resized = resize(image, width=width, height=height)
        rows = embedder.embed(resized if area is None else area.filled(resized))
        return (rows if area is None else rows[area.patches]) @ projections[MEMORY_BANK.name]

    quota = patch_quota(len(pixels.learned))
    candidates = np.concatenate(
        [sample_rows(projected(image), quota, generator=generator) for image in pixels.learned]
    )
    banks = _banks(candidates, generator=generator)
    weights = border_weights(embedder.grid)
    weights = weights if area is None else weights[area.patches]
    inspected = None if pixels.area is None else pixels.area.pixels

    def score(image: NDArray[np.uint8]) -> float:
        return image_score(_patch_scores(banks, projected(image)) * weights)

    before = np.array([score(image) for image in pixels.marked])
    gains = []
    for row, image in enumerate(pixels.marked):
        for length in MARK_LENGTHS:
            drawing = np.random.default_rng([seed, row, length])
            marked = with_mark(
                image, length, narrow=row % 2 == 1, generator=drawing, inspected=inspected
            )
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
