import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from blemish.domain.palette import BACKGROUND, PALETTE
from blemish.engine.training.anomaly_types import assign_colors, select_types
from blemish.engine.training.labeled_images import TrainingMask
from blemish.engine.training.masked_patches import MaskedPatches

NAMES = st.sampled_from(["crack", "dent", "hole", "scratch", "stain"])
HEX = st.sampled_from([BACKGROUND, "#23a436", "#23A436", "#14A3B3", "#000000"])


def mask(colors: dict[str, str]) -> TrainingMask:
    return TrainingMask(read=lambda: b"", colors=colors)


def patches(*shown: str) -> MaskedPatches:
    """Make an image of as many patches as words: each names the types that its patch shows."""
    names = {name for patch in shown for name in patch.split("+") if name}
    return MaskedPatches(
        digest=b"",
        embeddings=np.zeros((len(shown), 3), np.float32),
        shares={
            name: np.array([0.25 * (name in patch.split("+")) for patch in shown], np.float32)
            for name in names
        },
        weights=np.ones(len(shown), np.float32),
    )


def test_types_with_masks_enough_are_chosen_in_alphabetical_order() -> None:
    images = [patches("stain", "hole"), patches("hole"), patches("stain"), patches("")]

    types, notes = select_types(images, min_masks=2)

    assert types == ["hole", "stain"]
    assert notes == ()


def test_a_type_with_too_few_masks_is_left_out_and_named() -> None:
    images = [patches("stain"), patches("stain"), patches("hole")]

    types, notes = select_types(images, min_masks=2)

    assert types == ["stain"]
    assert notes == (
        "The anomaly label 'hole' is left out of segmentation: 1 training mask shows it; 2 are "
        "needed.",
    )


def test_a_type_that_lies_only_beside_those_left_out_is_left_out_and_named() -> None:
    images = [
        patches("", "dent", "dent+hole", "stain"),
        patches("", "scratch", "scratch+hole+stain"),
    ]

    types, notes = select_types(images, min_masks=2)

    assert types == ["stain"]
    assert [note.split("'")[1] for note in notes] == ["dent", "hole", "scratch"]
    assert notes[1] == (
        "The anomaly label 'hole' is left out of segmentation: in every training image, it shares "
        "its patches with labels that are left out."
    )


def test_a_type_that_is_told_apart_once_is_chosen() -> None:
    images = [patches("dent+hole"), patches("dent+hole", "hole")]

    types, _ = select_types(images, min_masks=2)
    few, _ = select_types([*images, patches("hole")], min_masks=3)

    assert types == ["dent", "hole"]
    assert few == ["hole"]


def test_a_type_keeps_the_colour_it_was_painted_in() -> None:
    types = assign_colors(["hole"], [mask({"#abcdef": "hole"}), mask({"#ABCDEF": "hole"})])

    assert types[0].color == "#ABCDEF"


def test_types_painted_in_several_colours_or_white_get_free_ones_of_the_palette() -> None:
    types = assign_colors(
        ["dent", "hole", "stain"],
        [
            mask({"#111111": "dent", "#FFFFFF": "hole"}),
            mask({"#222222": "dent", "#23A436": "stain"}),
        ],
    )

    assert [each.color for each in types] == [PALETTE[2], PALETTE[3], "#23A436"]


@given(
    masks=st.lists(st.dictionaries(HEX, NAMES).map(mask)),
    names=st.sets(NAMES, min_size=1).map(sorted),
)
def test_no_two_types_share_a_colour(masks: list[TrainingMask], names: list[str]) -> None:
    types = assign_colors(names, masks)

    colors = [each.color for each in types]
    assert [each.name for each in types] == names
    assert len({BACKGROUND, *colors}) == 1 + len(colors)
