from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.splits import LabeledDigest, Part, groups_of, part_of, split_by_group
from blemish.domain.entities import Label

LABELS = st.sampled_from(list(Label))


def images(*names: str, label: Label = Label.NORMAL) -> list[LabeledDigest]:
    """Return images that all differ."""
    return [LabeledDigest(name, label, sha256(name.encode()).digest()) for name in names]


def sides(groups: Sequence[tuple[str, str]], its: Sequence[LabeledDigest], part: Part) -> set[str]:
    names = {*part.normal, *part.anomaly}
    return {
        "/".join(group) for group, image in zip(groups, its, strict=True) if image.name in names
    }


def test_one_tile_under_several_exposures_is_one_group() -> None:
    its = images(
        "test/anomaly/crack_exp1_num_3191.jpg",
        "train/anomaly/crack_exp6_num_3279.jpg",
        "train/anomaly/crack_exp1_num_32128.jpg",
        "train/anomaly/fray_exp1_num_3200.jpg",
    )

    one, same, far, other_type = groups_of("magnetic_tile", its)

    assert one == same
    assert len({one, far, other_type}) == 3


def test_one_sheet_of_paper_is_one_group_with_and_without_defects() -> None:
    its = images(
        "train/anomaly/PA_BRG03_TL_S_D_01_2.png",
        "test/normal/PA_BRG03_TL_S_ND_01_7.png",
        "test/normal/PA_BRG03_TL_S_ND_02_7.png",
    )

    one, same, other = groups_of("PA_BRG03_TL", its)

    assert one == same != other


def test_sheets_that_hold_an_identical_image_are_one_group() -> None:
    first, second, third = images("a_01_1.png", "a_02_1.png", "a_03_1.png")
    fourth = LabeledDigest("a_02_2.png", Label.NORMAL, third.digest)

    groups = groups_of("PA_X", [first, second, third, fourth])

    assert groups[1] == groups[2] == groups[3] != groups[0]


def test_elsewhere_identical_images_are_one_group() -> None:
    one, other = images("train/normal/1.png", "train/normal/2.png")
    copy = LabeledDigest("test/anomaly/1.png", Label.ANOMALY, one.digest)

    groups = groups_of("castings", [one, other, copy])

    assert groups[0] == groups[2] != groups[1]


@given(of=st.lists(st.tuples(st.integers(0, 9), LABELS), min_size=1), seed=st.integers(0, 99))
def test_no_group_is_on_both_sides_and_no_image_is_lost(
    of: list[tuple[int, Label]], seed: int
) -> None:
    its = [LabeledDigest(str(n), label, bytes([n])) for n, (_, label) in enumerate(of)]
    groups = [("piece", str(group)) for group, _ in of]

    split = split_by_group(its, groups, seed=seed)

    assert not sides(groups, its, split.train) & sides(groups, its, split.test)
    found = [*split.train.normal, *split.train.anomaly, *split.test.normal, *split.test.anomaly]
    assert sorted(found) == sorted(image.name for image in its)


def test_each_kind_is_dealt_evenly() -> None:
    good = images(*(f"good{n}" for n in range(20)))
    bad = images(*(f"bad{n}" for n in range(9)), label=Label.ANOMALY)

    split = split_by_group([*good, *bad], groups_of("set", [*good, *bad]), seed=0)

    assert (len(split.train.normal), len(split.test.normal)) == (10, 10)
    assert (len(split.train.anomaly), len(split.test.anomaly)) == (5, 4)


def test_a_split_depends_on_the_seed_and_not_on_the_order_of_the_images() -> None:
    its = images(*(f"{n}.png" for n in range(40)))

    first = split_by_group(its, groups_of("set", its), seed=1)

    turned = its[::-1]
    assert split_by_group(turned, groups_of("set", turned), seed=1) == first
    assert split_by_group(its, groups_of("set", its), seed=2) != first


def test_a_larger_cap_keeps_what_a_smaller_one_keeps() -> None:
    part = part_of(images(*(f"{n}.png" for n in range(40))), seed=3)

    small, large = part.capped(5, None), part.capped(9, None)

    assert large.normal[:5] == small.normal
    assert small.normal != tuple(sorted(small.normal))
