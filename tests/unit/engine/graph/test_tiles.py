from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.engine.backbones.backbone import load_backbone
from blemish.engine.backbones.embedding import Embedder
from blemish.engine.graph import tiles
from blemish.engine.graph.tiles import LARGEST_WHOLE, tiled_side


@given(steps=st.integers(1, 300), step=st.sampled_from([14, 32, 64]))
def test_tiles_give_every_pixel_once_and_far_from_their_borders(steps: int, step: int) -> None:
    side = steps * step

    tiling = tiled_side(side, step=step)

    ends = [start + tiling.length for start in tiling.starts]
    assert [used[0] for used in tiling.used] == [0, *(used[1] for used in tiling.used[:-1])]
    assert tiling.used[-1][1] == ends[-1] == side
    assert all(bound % step == 0 for used in tiling.used for bound in used)
    for start, end, (first, last) in zip(tiling.starts, ends, tiling.used, strict=True):
        assert start == 0 or first - start >= 32
        assert end == side or end - last >= 32
        assert start <= first <= last <= end


def test_a_side_that_is_not_large_is_one_tile() -> None:
    assert tiled_side(LARGEST_WHOLE, step=32).starts == (0,)
    assert len(tiled_side(LARGEST_WHOLE + 32, step=32).starts) == 2


def test_tiles_have_the_embeddings_of_the_whole_image(
    backbone_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = load_backbone(backbone_file)
    pixels = np.random.default_rng(0).integers(0, 256, (1_088, 1_056, 3), dtype=np.uint8)
    tiled = Embedder(backbone, width=1_056, height=1_088, threads=1)
    monkeypatch.setattr(tiles, "LARGEST_WHOLE", 2_000)

    whole = Embedder(backbone, width=1_056, height=1_088, threads=1)

    assert tiled.grid == whole.grid
    np.testing.assert_allclose(tiled.embed(pixels), whole.embed(pixels), atol=1e-4)
