from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from blemish.domain.entities import Label
from blemish.engine.training.folds import assign_folds

IMAGES = st.lists(
    st.tuples(st.integers(0, 30).map(lambda i: i.to_bytes()), st.sampled_from(Label)), min_size=1
)


@given(images=IMAGES, folds=st.integers(1, 6))
def test_identical_images_share_a_fold(images: list[tuple[bytes, Label]], folds: int) -> None:
    digests, labels = zip(*images, strict=True)

    fold_of = assign_folds(digests, labels, folds=folds)

    assert len(set(zip(digests, fold_of.tolist(), strict=True))) == len(set(digests))
    assert set(fold_of.tolist()) <= set(range(folds))


@given(images=IMAGES, folds=st.integers(1, 6), seed=st.integers(0, 2**31))
def test_the_order_of_images_does_not_matter(
    images: list[tuple[bytes, Label]], folds: int, seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(len(images))
    digests, labels = zip(*images, strict=True)

    straight = assign_folds(digests, labels, folds=folds)
    shuffled = assign_folds([digests[i] for i in order], [labels[i] for i in order], folds=folds)

    assert straight[order].tolist() == shuffled.tolist()


@given(normal=st.integers(0, 40), anomalous=st.integers(0, 40), folds=st.integers(1, 6))
def test_each_label_is_dealt_out_evenly(normal: int, anomalous: int, folds: int) -> None:
    digests = [i.to_bytes() for i in range(normal + anomalous)]
    labels = [Label.NORMAL] * normal + [Label.ANOMALY] * anomalous

    fold_of = assign_folds(digests, labels, folds=folds).tolist()

    for label in Label:
        sizes = Counter(fold for fold, its in zip(fold_of, labels, strict=True) if its is label)
        assert max(sizes[fold] for fold in range(folds)) - min(
            sizes[fold] for fold in range(folds)
        ) in {0, 1}


@given(images=IMAGES)
def test_two_different_normal_images_never_leave_a_fold_without_others(
    images: list[tuple[bytes, Label]],
) -> None:
    images += [(b"one", Label.NORMAL), (b"two", Label.NORMAL)]
    digests, labels = zip(*images, strict=True)
    normals = {digest for digest, label in images if label is Label.NORMAL}

    fold_of = assign_folds(digests, labels, folds=min(5, len(normals)))

    folds = {
        fold for fold, label in zip(fold_of.tolist(), labels, strict=True) if label is Label.NORMAL
    }
    assert len(folds) == min(5, len(normals))
