"""Sums over patch embeddings, which give their mean and covariance.

The sums of a set of images are the sums of its folds, added up: one pass over the images serves
every fit of a cross-validation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Sums over n embeddings of width d."""

    count: int
    #: (d,)
    total: NDArray[np.float64]
    #: (d, d)
    products: NDArray[np.float64]

    @classmethod
    def none(cls, width: int) -> Moments:
        """Return the sums over nothing."""
        return cls(count=0, total=np.zeros(width), products=np.zeros((width, width)))

    @classmethod
    def of(cls, embeddings: NDArray[np.float32]) -> Moments:
        """Return the sums over (n, d)."""
        return cls(
            count=len(embeddings),
            total=embeddings.sum(axis=0, dtype=np.float64),
            products=(embeddings.T @ embeddings).astype(np.float64),
        )

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            count=self.count + other.count,
            total=self.total + other.total,
            products=self.products + other.products,
        )

    @property
    def mean(self) -> NDArray[np.float64]:
        """(d,)"""  # noqa: D415 - a shape
        return self.total / self.count

    @property
    def covariance(self) -> NDArray[np.float64]:
        """(d, d)"""  # noqa: D415 - a shape
        return self.products / self.count - np.outer(self.mean, self.mean)


def principal_directions(
    covariance: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return variances and directions (columns), the largest variance first."""
    variances, directions = np.linalg.eigh(covariance)
    return np.maximum(variances[::-1], 0), directions[:, ::-1]
