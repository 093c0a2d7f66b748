"""The appearance of an image as a camera's fault changes it: brightness, sharpness, layout.

All of it is measured on the pixels that the graph sees: blur that does not reach them changes no
verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LAYOUT_SIDE = 64


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """The appearance of one image."""

    #: mean luminance, 0 to 1
    brightness: float
    #: amplitude of the differences between neighbouring pixels, as a ratio to that at half the
    #: size: blur lowers it, contrast does not change it
    sharpness: float
    #: (LAYOUT_SIDE, LAYOUT_SIDE) luminance
    layout: NDArray[np.uint8]


def appearance(pixels: NDArray[np.uint8]) -> Appearance:
    """Measure an image, (H, W, 3) RGB at the size of the graph."""
    image = Image.fromarray(pixels).convert("L")
    gray = np.asarray(image, dtype=np.float32)
    coarse = np.asarray(image.reduce(2), dtype=np.float32)
    return Appearance(
        brightness=float(gray.mean()) / 255,
        sharpness=float(np.sqrt(_energy(gray) / max(_energy(coarse), 1e-6))),
        layout=np.asarray(image.resize((LAYOUT_SIDE, LAYOUT_SIDE), Image.Resampling.BOX)),
    )


def layout_spectrum(layout: NDArray[np.floating] | NDArray[np.uint8]) -> NDArray[np.complex128]:
    """Return the spectrum of a layout, faded towards its border; `layout_shift` compares two."""
    values = layout.astype(np.float64)
    spectrum: NDArray[np.complex128] = np.fft.rfft2((values - values.mean()) * _fading())
    return spectrum


@dataclass(frozen=True, kw_only=True)
class LayoutShift:
    """How far a layout lies to the right of and below a reference."""

    #: shares of its sides
    x: float
    y: float
    #: of the correlation, in its deviations: about 4 where two layouts have nothing in common
    peak: float


def layout_shift(
    spectrum: NDArray[np.complex128], reference: NDArray[np.complex128]
) -> LayoutShift:
    """Return the shift of a layout against a reference, both by their spectra.

    Source: Kuglin and Hines, "The phase correlation image alignment method", 1975. A parabola
    through the peak and its neighbours gives parts of a pixel.
    """
    product = spectrum * reference.conj()
    size = np.abs(product)
    phase = product / np.maximum(size, max(float(size.max()) * 1e-6, 1e-12))
    peaks = np.fft.irfft2(phase, (LAYOUT_SIDE, LAYOUT_SIDE))
    row, column = divmod(int(peaks.argmax()), LAYOUT_SIDE)
    peak = float(peaks.max() / max(peaks.std(), 1e-12))
    return LayoutShift(x=_share(peaks[row], column), y=_share(peaks[:, column], row), peak=peak)


def _share(values: NDArray[np.float64], peak: int) -> float:
    before, middle, after = (float(values[(peak + step) % LAYOUT_SIDE]) for step in (-1, 0, 1))
    bend = before - 2 * middle + after
    position = peak + (0.5 * (before - after) / bend if bend else 0.0)
    half = LAYOUT_SIDE / 2
    return ((position + half) % LAYOUT_SIDE - half) / LAYOUT_SIDE


def _energy(gray: NDArray[np.float32]) -> float:
    """Return the mean square of the differences between neighbours."""
    return float(np.square(np.diff(gray, axis=0)).mean() + np.square(np.diff(gray)).mean())


@cache
def _fading() -> NDArray[np.float64]:
    side = np.hanning(LAYOUT_SIDE + 2)[1:-1]
    fading: NDArray[np.float64] = np.outer(side, side)
    return fading
