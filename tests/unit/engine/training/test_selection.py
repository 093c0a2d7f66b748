from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.engine.metrics import roc_auc
from blemish.engine.scorers.image_gaussian import IMAGE_GAUSSIAN
from blemish.engine.scorers.image_head import IMAGE_HEAD
from blemish.engine.scorers.memory_bank import MEMORY_BANK, WHITENED_BANK
from blemish.engine.scorers.patch_head import PATCH_HEAD
from blemish.engine.scorers.scorer import ScoreKey
from blemish.engine.scorers.subspace import SUBSPACE
from blemish.engine.training.cross_validation import CrossValidation
from blemish.engine.training.fusion import standard
from blemish.engine.training.score_table import ScoreTable, score_table
from blemish.engine.training.selection import candidates_for, map_fusion, select

FOLDS, GRID = 5, (4, 4)
BANK, BANK_BY_POSITION = ScoreKey(MEMORY_BANK), ScoreKey(MEMORY_BANK, by_position=True)
WHITENED = ScoreKey(WHITENED_BANK)
PLANE, PLANE_BY_POSITION = ScoreKey(SUBSPACE), ScoreKey(SUBSPACE, by_position=True)
GAUSSIAN = ScoreKey(IMAGE_GAUSSIAN)
POOLED_HEAD = ScoreKey(IMAGE_HEAD)
HEADS = (POOLED_HEAD, ScoreKey(PATCH_HEAD))


def table(
    *, normal: int = 40, anomalous: int = 20, seed: int = 0, **strengths: float
) -> ScoreTable:
    """Return scores whose means differ between the labels by so many deviations."""
    generator = np.random.default_rng(seed)
    images = normal + anomalous
    truth = np.arange(images) >= normal
    keys = [BANK, BANK_BY_POSITION, PLANE, PLANE_BY_POSITION, GAUSSIAN, *HEADS]
    names = ["bank", "bank_place", "subspace", "subspace_place", "gaussian", "head", "head"]
    scores = {
        key: 10 + strengths.get(name, 0.0) * truth + generator.normal(0, 1, (FOLDS, images))
        for key, name in zip(keys, names, strict=True)
        if key not in HEADS or anomalous
    }
    ones = np.ones(GRID[0] * GRID[1], dtype=np.float32)
    return ScoreTable(
        size=(256, 256),
        fold_of=np.arange(images) % FOLDS,
        anomalous=truth,
        scores=scores,
        scales={MEMORY_BANK: ones, SUBSPACE: ones},
        alignments={MEMORY_BANK: 0.5, SUBSPACE: 0.01},
    )


def test_without_labels_scorers_are_averaged_by_place_where_images_are_aligned() -> None:
    selection = select([table(anomalous=0)])

    assert selection.candidate.shares == pytest.approx(
        {BANK: 1 / 3, BANK_BY_POSITION: 1 / 3, PLANE: 1 / 6, GAUSSIAN: 1 / 6}
    )
    assert selection.results == ()


def test_without_subspace_and_image_gaussian_the_bank_scores_alone() -> None:
    whole = table(anomalous=0)
    banks = {key: values for key, values in whole.scores.items() if key.scorer is MEMORY_BANK}

    selection = select([replace(whole, scores=banks)])

    assert selection.candidate.shares == {BANK: 0.5, BANK_BY_POSITION: 0.5}


def test_heads_count_the_more_the_more_anomalies_they_saw() -> None:
    three, nine, thirty = (
        select([table(anomalous=count, head=3.0)]).candidate for count in (3, 9, 30)
    )

    assert three.shares[POOLED_HEAD] == pytest.approx(3 / 13)
    assert nine.shares[POOLED_HEAD] == pytest.approx(9 / 19)
    assert thirty.shares[POOLED_HEAD] == pytest.approx(30 / 40)


@pytest.mark.parametrize(
    ("bank", "head", "is_added"),
    [(0.0, 8.0, True), (30.0, 8.0, False), (0.0, -8.0, False)],
    ids=["anomalies are missed", "all are found", "heads rank worse"],
)
def test_few_labels_add_heads_only_where_they_help(
    bank: float, head: float, is_added: bool
) -> None:
    selection = select([table(anomalous=5, bank=bank, bank_place=bank, head=head)])

    assert any(key in selection.candidate.shares for key in HEADS) is is_added
    assert selection.results == ()


def test_few_labels_choose_nothing() -> None:
    assert select([table(anomalous=9)]).results == ()


def test_with_labels_the_better_scorer_is_chosen() -> None:
    selection = select([table(subspace=4.0, seed=1)])

    assert {name for name in selection.candidate.shares if name not in HEADS} == {PLANE}
    results = {result.candidate.name: result for result in selection.results}
    assert results["subspace"].image_auroc > results["average"].image_auroc + 0.02
    assert results["subspace"].standard_error > 0


def test_a_higher_resolution_is_taken_where_it_is_clearly_better() -> None:
    usual = table(bank=1.0, bank_place=1.0, subspace=1.0, gaussian=1.0)
    clear = table(bank=4.0, bank_place=4.0, subspace=4.0, gaussian=4.0, head=4.0, seed=1)
    better = replace(clear, size=(512, 512))

    selection = select([usual, better])

    assert selection.candidate.table == 1
    assert "512 x 512 pixels" in selection.candidate.name
    auroc = roc_auc(usual.anomalous, selection.scores)
    assert auroc is not None
    assert auroc > 0.95


def test_the_usual_resolution_stays_where_another_is_as_good() -> None:
    usual = table(bank_place=3.0, subspace=3.0, gaussian=3.0)

    assert select([usual, replace(usual, size=(512, 512))]).candidate.table == 0


def test_another_bank_stands_in_for_the_first() -> None:
    whole = table(seed=2)
    truth = whole.anomalous
    generator = np.random.default_rng(0)
    strong = 10 + 5.0 * truth + generator.normal(0, 1, (FOLDS, len(truth)))
    ones = np.ones(GRID[0] * GRID[1], dtype=np.float32)
    more = replace(
        whole,
        scores=dict(whole.scores) | {WHITENED: strong},
        scales=dict(whole.scales) | {WHITENED_BANK: ones},
        alignments=dict(whole.alignments) | {WHITENED_BANK: 0.0},
    )

    candidate = select([more]).candidate

    assert WHITENED in candidate.shares
    assert BANK not in candidate.shares


def test_heads_that_know_more_are_taken_along() -> None:
    candidate = select([table(head=3.0, gaussian=0.5)]).candidate

    assert candidate.shares[POOLED_HEAD] > 0


def test_the_usual_one_stays_where_nothing_is_clearly_better() -> None:
    alike = table(
        bank=3.0, bank_place=3.0, subspace=3.0, subspace_place=3.0, gaussian=3.0, head=3.0
    )

    assert select([alike]).candidate.name == "average, heads x 0.67"


def test_ten_anomalies_do_not_choose_what_only_a_few_normal_images_speak_for() -> None:
    few = table(normal=100, anomalous=10)
    odd, scores = range(20, 24), dict[ScoreKey, NDArray[np.float64]]()
    for name, noise in table(normal=100, anomalous=10).scores.items():
        scores[name] = noise + 10 * few.anomalous
        if name != GAUSSIAN:
            scores[name][:, odd] += 30
    selection = select([replace(few, scores=scores)])

    aurocs = {result.candidate.name: result for result in selection.results}
    best = aurocs["image"]
    assert best.image_auroc > aurocs["average, heads x 0.5"].image_auroc + best.standard_error
    assert selection.candidate.name == "average, heads x 0.5"


def test_heads_that_mislead_are_left_out() -> None:
    candidate = select(
        [table(bank=2.0, bank_place=2.0, subspace=2.0, gaussian=2.0, head=-1.0)]
    ).candidate

    assert not set(HEADS) & set(candidate.shares)


def test_candidates_have_names_of_their_own_and_begin_with_the_usual_one() -> None:
    candidates = candidates_for([table()], np.ones(60, dtype=np.bool_))

    assert candidates[0].name == "average, heads x 0.67"
    assert len({candidate.name for candidate in candidates}) == len(candidates) == 28


def test_where_no_place_is_told_apart_nothing_is_tried_twice() -> None:
    loose = replace(table(), alignments={MEMORY_BANK: 0.0, SUBSPACE: 0.0})

    tried = [
        tuple(candidate.shares.items())
        for candidate in candidates_for([loose], np.ones(60, dtype=np.bool_))
    ]

    assert len(set(tried)) == len(tried) == 20


def test_an_images_score_does_not_depend_on_its_own_label() -> None:
    first = table(bank_place=1.0, head=1.0)
    labels = first.anomalous.copy()
    labels[[4, 9, 44]] = ~labels[[4, 9, 44]]  # all of fold 4

    before, after = (
        select([scores]).scores for scores in (first, replace(first, anomalous=labels))
    )

    assert (before[4::FOLDS] == after[4::FOLDS]).all()
    assert (before != after).any()


def test_choosing_among_noise_does_not_flatter() -> None:
    aurocs = [
        roc_auc(scores.anomalous, select([scores]).scores)
        for scores in (table(seed=seed) for seed in range(30))
    ]

    assert np.mean([auroc or 0 for auroc in aurocs]) == pytest.approx(0.5, abs=0.04)


def test_a_map_is_in_the_unit_of_the_image_score() -> None:
    scores = table(anomalous=0)
    candidate = select([scores]).candidate

    fused = map_fusion(candidate, scores).fuse(
        {name: scores.unseen(name, None) for name in (BANK, PLANE)}
    )

    assert fused.mean() == pytest.approx(1)


def test_a_map_counts_patch_scores_as_the_image_score_does() -> None:
    scores = table(anomalous=0)
    candidate = select([scores]).candidate

    weights = map_fusion(candidate, scores).weights

    shares = {
        name: weight * standard(scores.unseen(name, None)).deviation
        for name, weight in weights.items()
    }
    assert candidate.shares[BANK] + candidate.shares[BANK_BY_POSITION] == pytest.approx(2 / 3)
    assert candidate.shares[PLANE] == pytest.approx(1 / 6)
    assert shares[BANK] / shares[PLANE] == pytest.approx(4)


def test_too_few_images_say_nothing_of_how_images_vary() -> None:
    for normal in (2, 3):
        assert GAUSSIAN not in select([table(normal=normal, anomalous=0)]).candidate.shares
    assert GAUSSIAN in select([table(normal=4, anomalous=0)]).candidate.shares
    few = table(normal=3, anomalous=20)
    tried = candidates_for([few], np.ones(23, dtype=np.bool_))
    assert all(GAUSSIAN not in candidate.shares for candidate in tried)
    assert all(
        sum(candidate.shares.get(name, 0) for name in few.scores if name not in HEADS)
        == pytest.approx(1)
        for candidate in tried
    )


def test_a_candidate_without_patch_scores_still_has_a_map() -> None:
    scores = table(gaussian=6.0, head=-9.0)
    candidate = select([scores]).candidate

    assert candidate.shares == {GAUSSIAN: 1}
    assert set(map_fusion(candidate, scores).weights) == {BANK, PLANE}


def cross_validation(maps: NDArray[np.float32]) -> CrossValidation:
    images = maps.shape[1]
    return CrossValidation(
        fold_of=np.arange(images) % FOLDS,
        anomalous=np.zeros(images, dtype=np.bool_),
        patch_scores={MEMORY_BANK: maps},
        image_scores={},
    )


def test_by_place_a_score_counts_by_how_high_it_is_for_its_place() -> None:
    generator = np.random.default_rng(0)
    usual = np.repeat([9.0, 1.0], 16)
    maps = generator.uniform(0.9, 1.1, (FOLDS, 30, 32)) * usual
    maps[:, 0, 22] = 5  # much for its place, and little beside what is usual at others

    scores = score_table(cross_validation(maps.astype(np.float32)), (8, 4), size=(32, 64))

    plain, by_place = scores.unseen(BANK, None), scores.unseen(BANK_BY_POSITION, None)
    assert plain[0] < plain[1:].max()
    assert by_place[0] > by_place[1:].max()
    assert scores.aligned(MEMORY_BANK) == BANK_BY_POSITION
