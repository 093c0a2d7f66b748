import numpy as np
import pytest

from blemish.domain.entities import Label
from blemish.engine.cross_validation import ProjectedImage, held_out_scores
from blemish.engine.labeled import Progress


def image(seed: int, *, middle: float = 0.0, label: Label = Label.NORMAL) -> ProjectedImage:
    patches = np.random.default_rng(seed).normal(middle, 1, (120, 4))
    return ProjectedImage(
        digest=seed.to_bytes(32), label=label, embeddings=patches.astype(np.float32)
    )


def test_an_image_is_scored_by_the_others_alone() -> None:
    ordinary = [image(seed) for seed in range(12)]
    strange = image(99, middle=50)

    held_out = held_out_scores([*ordinary, strange], seed=0, threads=1, progress=lambda _: None)

    assert held_out.scores[:-1].max() < 10
    assert held_out.scores[-1] > 50  # with its own patches in the bank it would be 0


def test_identical_images_do_not_vouch_for_each_other() -> None:
    strange = image(99, middle=50)
    images = [*(image(seed) for seed in range(12)), strange, strange, strange]

    held_out = held_out_scores(images, seed=0, threads=1, progress=lambda _: None)

    assert held_out.scores[-3:].min() > 50


def test_anomalies_are_scored_and_never_vouch_for_anything() -> None:
    normal = [image(seed) for seed in range(10)]
    anomalous = [image(100 + seed, middle=30, label=Label.ANOMALY) for seed in range(10)]

    held_out = held_out_scores(normal + anomalous, seed=0, threads=1, progress=lambda _: None)

    assert held_out.anomalous.tolist() == [False] * 10 + [True] * 10
    assert held_out.scores[10:].min() > 30


@pytest.mark.parametrize(("normal", "folds"), [(2, 2), (4, 4), (9, 5)])
def test_there_are_five_folds_or_as_many_as_normal_images(normal: int, folds: int) -> None:
    steps: list[Progress] = []

    held_out_scores(
        [image(seed) for seed in range(normal)], seed=0, threads=1, progress=steps.append
    )

    assert [step.done for step in steps] == list(range(1, folds + 1))
    assert {step.total for step in steps} == {folds}


def test_scores_do_not_depend_on_the_number_of_threads() -> None:
    images = [image(seed) for seed in range(6)]

    first = held_out_scores(images, seed=3, threads=1, progress=lambda _: None)
    second = held_out_scores(images, seed=3, threads=4, progress=lambda _: None)

    assert first.scores.tolist() == second.scores.tolist()
