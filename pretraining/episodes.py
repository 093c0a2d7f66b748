"""Episodes: some pictures of one product, without and with defects, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pretraining.defects import spoil
from pretraining.fields import SIDE
from pretraining.light import draw_camera, photograph
from pretraining.products import draw_product

REFERENCES, NORMALS, DEFECTIVES = 4, 2, 3
PICTURES = REFERENCES + NORMALS + DEFECTIVES


@dataclass(frozen=True, kw_only=True)
class Episode:
    """Pictures of one product."""

    #: (PICTURES, SIDE, SIDE, 3) RGB: references, then normal ones, then defective ones
    pictures: npt.NDArray[np.uint8]
    #: (DEFECTIVES, SIDE, SIDE), where the defective ones are changed
    masks: npt.NDArray[np.bool_]


def draw_episode(seed: int) -> Episode:
    """Draw a product that no other seed gives, and its pictures."""
    random = np.random.default_rng((seed, 0xB1E))
    product = draw_product(random)
    camera = draw_camera(random, grey=product.grey)
    pictures = np.empty((PICTURES, SIDE, SIDE, 3), dtype=np.uint8)
    masks = np.zeros((DEFECTIVES, SIDE, SIDE), dtype=np.bool_)
    for index in range(PICTURES):
        piece = int(random.integers(2**62))
        if index < REFERENCES + NORMALS:
            image = product.render(piece).image
        else:
            image, masks[index - REFERENCES - NORMALS] = spoil(random, product, piece)
        pictures[index] = photograph(image, camera, random)
    return Episode(pictures=pictures, masks=masks)
