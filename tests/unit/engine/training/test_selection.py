from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.engine.metrics import roc_auc
from blemish.engine.scorers.scorers import BANK, WHITENED
from blemish.engine.training.cross_validation import HEADS, IMAGE, IMAGE_HEAD, SUBSPACE, HeldOut
from blemish.engine.training.fusion import standard
from blemish.engine.training.score_table import BY_PLACE, ScoreTable, score_table
from blemish.engine.training.selection import candidates_for, map_fusion, select

FOLDS, GRID = 5, (4, 4)


def table(
    *, normal: int = 40, anomalous: int = 20, seed: int = 0, **strengths: float
) -> ScoreTable:
    """Return scores whose means differ between the labels by so many deviations."""
    generator = np.random.default_rng(seed)
    images = normal + anomalous
    truth = np.arange(images) >= normal
    names = [BANK, BANK + BY_PLACE, SUBSPACE, SUBSPACE + BY_PLACE, IMAGE, *HEADS]
    keys = ["bank", "bank_place", "subspace", "subspace_place", "picture", "head", "head"]
    scores = {
        name: 10 + strengths.get(key, 0.0) * truth + generator.normal(0, 1, (FOLDS, images))
        for name, key in zip(names, keys, strict=True)
        if name not in HEADS or anomalous
    }
    ones = np.ones(GRID[0] * GRID[1], dtype=np.float32)
    return ScoreTable(
        size=(256, 256),
        fold_of=np.arange(images) % FOLDS,
        anomalous=truth,
        scores=scores,
        scales={BANK: ones, SUBSPACE: ones},
        alignments={BANK: 0.5, SUBSPACE: 0.01},
    )


def test_without_labels_scorers_are_averaged_by_place_where_images_are_aligned() -> None:
    selection = select([table(anomalous=0)])

    assert selection.chosen.shares == pytest.approx(
        {BANK: 1 / 3, BANK + BY_PLACE: 1 / 3, SUBSPACE: 1 / 6, IMAGE: 1 / 6}
    )
    assert selection.judged == ()


def test_heads_count_the_more_the_more_anomalies_they_saw() -> None:
    three, nine, thirty = (
        select([table(anomalous=count, head=3.0)]).chosen for count in (3, 9, 30)
    )

    assert three.shares[IMAGE_HEAD] == pytest.approx(3 / 13)
    assert nine.shares[IMAGE_HEAD] == pytest.approx(9 / 19)
    assert thirty.shares[IMAGE_HEAD] == pytest.approx(30 / 40)


def test_few_labels_choose_nothing() -> None:
    assert select([table(anomalous=9)]).judged == ()


def test_with_labels_the_better_scorer_is_chosen() -> None:
    selection = select([table(subspace=4.0, seed=1)])

    assert {name for name in selection.chosen.shares if name not in HEADS} == {SUBSPACE}
    judged = {each.candidate.name: each for each in selection.judged}
    assert judged[SUBSPACE].image_auroc > judged["average"].image_auroc + 0.02
    assert judged[SUBSPACE].standard_error > 0


def test_a_higher_resolution_is_taken_where_it_is_clearly_better() -> None:
    usual = table(bank=1.0, bank_place=1.0, subspace=1.0, image=1.0)
    clear = table(bank=4.0, bank_place=4.0, subspace=4.0, image=4.0, head=4.0, seed=1)
    better = replace(clear, size=(512, 512))

    selection = select([usual, better])

    assert selection.chosen.at == 1
    assert "512 x 512 pixels" in selection.chosen.name
    auroc = roc_auc(usual.anomalous, selection.scores)
    assert auroc is not None
    assert auroc > 0.95


def test_the_usual_resolution_stays_where_another_is_as_good() -> None:
    usual = table(bank_place=3.0, subspace=3.0, image=3.0)

    assert select([usual, replace(usual, size=(512, 512))]).chosen.at == 0


def test_another_bank_stands_in_for_the_first() -> None:
    whole = table(seed=2)
    truth = whole.anomalous
    generator = np.random.default_rng(0)
    strong = 10 + 5.0 * truth + generator.normal(0, 1, (FOLDS, len(truth)))
    ones = np.ones(GRID[0] * GRID[1], dtype=np.float32)
    more = replace(
        whole,
        scores=dict(whole.scores) | {WHITENED: strong},
        scales=dict(whole.scales) | {WHITENED: ones},
        alignments=dict(whole.alignments) | {WHITENED: 0.0},
    )

    chosen = select([more]).chosen

    assert WHITENED in chosen.shares
    assert BANK not in chosen.shares


def test_heads_that_know_more_are_taken_along() -> None:
    chosen = select([table(head=3.0, image=0.5)]).chosen

    assert chosen.shares[IMAGE_HEAD] > 0


def test_the_usual_one_stays_where_nothing_is_clearly_better() -> None:
    alike = table(bank=3.0, bank_place=3.0, subspace=3.0, subspace_place=3.0, image=3.0, head=3.0)

    assert select([alike]).chosen.name == "average, heads x 0.67"


def test_ten_anomalies_do_not_choose_what_only_a_few_normal_images_speak_for() -> None:
    few = table(normal=100, anomalous=10)
    odd, scores = range(20, 24), dict[str, NDArray[np.float64]]()
    for name, noise in table(normal=100, anomalous=10).scores.items():
        scores[name] = noise + 10 * few.anomalous
        if name != IMAGE:
            scores[name][:, odd] += 30
    selection = select([replace(few, scores=scores)])

    aurocs = {each.candidate.name: each for each in selection.judged}
    best = aurocs["picture"]
    assert best.image_auroc > aurocs["average, heads x 0.5"].image_auroc + best.standard_error
    assert selection.chosen.name == "average, heads x 0.5"


def test_heads_that_mislead_are_left_out() -> None:
    chosen = select([table(bank=2.0, bank_place=2.0, subspace=2.0, image=2.0, head=-1.0)]).chosen

    assert not set(HEADS) & set(chosen.shares)


def test_candidates_have_names_of_their_own_and_begin_with_the_usual_one() -> None:
    candidates = candidates_for([table()], np.ones(60, dtype=np.bool_))

    assert candidates[0].name == "average, heads x 0.67"
    assert len({each.name for each in candidates}) == len(candidates) == 28


def test_where_no_place_is_told_apart_nothing_is_tried_twice() -> None:
    loose = replace(table(), alignments={BANK: 0.0, SUBSPACE: 0.0})

    tried = [
        tuple(each.shares.items()) for each in candidates_for([loose], np.ones(60, dtype=np.bool_))
    ]

    assert len(set(tried)) == len(tried) == 20


def test_an_images_score_does_not_depend_on_its_own_label() -> None:
    first = table(bank_place=1.0, head=1.0)
    labels = first.anomalous.copy()
    labels[[4, 9, 44]] = ~labels[[4, 9, 44]]  # all of fold 4

    before, after = (select([each]).scores for each in (first, replace(first, anomalous=labels)))

    assert (before[4::FOLDS] == after[4::FOLDS]).all()
    assert (before != after).any()


def test_choosing_among_noise_does_not_flatter() -> None:
    aurocs = [
        roc_auc(each.anomalous, select([each]).scores)
        for each in (table(seed=s) for s in range(30))
    ]

    assert np.mean([auroc or 0 for auroc in aurocs]) == pytest.approx(0.5, abs=0.04)


def test_a_map_is_in_the_unit_of_the_image_score() -> None:
    scores = table(anomalous=0)
    chosen = select([scores]).chosen

    fused = map_fusion(chosen, scores).fuse(
        {name: scores.held_out(name, None) for name in (BANK, SUBSPACE)}
    )

    assert fused.mean() == pytest.approx(1)


def test_a_map_counts_patch_scores_as_the_image_score_does() -> None:
    scores = table(anomalous=0)
    chosen = select([scores]).chosen

    weights = map_fusion(chosen, scores).weights

    shares = {
        name: weight * standard(scores.held_out(name, None)).deviation
        for name, weight in weights.items()
    }
    assert chosen.shares[BANK] + chosen.shares[BANK + BY_PLACE] == pytest.approx(2 / 3)
    assert chosen.shares[SUBSPACE] == pytest.approx(1 / 6)
    assert shares[BANK] / shares[SUBSPACE] == pytest.approx(4)


def test_too_few_images_say_nothing_of_how_images_vary() -> None:
    for normal in (2, 3):
        assert IMAGE not in select([table(normal=normal, anomalous=0)]).chosen.shares
    assert IMAGE in select([table(normal=4, anomalous=0)]).chosen.shares
    few = table(normal=3, anomalous=20)
    tried = candidates_for([few], np.ones(23, dtype=np.bool_))
    assert all(IMAGE not in each.shares for each in tried)
    assert all(
        sum(each.shares.get(name, 0) for name in few.scores if name not in HEADS)
        == pytest.approx(1)
        for each in tried
    )


def test_a_candidate_without_patch_scores_still_has_a_map() -> None:
    scores = table(image=6.0, head=-9.0)
    chosen = select([scores]).chosen

    assert chosen.shares == {IMAGE: 1}
    assert set(map_fusion(chosen, scores).weights) == {BANK, SUBSPACE}


def held_out(maps: NDArray[np.float32]) -> HeldOut:
    images = maps.shape[1]
    return HeldOut(
        fold_of=np.arange(images) % FOLDS,
        anomalous=np.zeros(images, dtype=np.bool_),
        maps={BANK: maps},
        scores={},
    )


def test_by_place_a_score_counts_by_how_high_it_is_for_its_place() -> None:
    generator = np.random.default_rng(0)
    usual = np.repeat([9.0, 1.0], 16)
    maps = generator.uniform(0.9, 1.1, (FOLDS, 30, 32)) * usual
    maps[:, 0, 22] = 5  # much for its place, and little beside what is usual at others

    made = score_table(held_out(maps.astype(np.float32)), (8, 4), size=(32, 64))

    plain, by_place = made.held_out(BANK, None), made.held_out(BANK + BY_PLACE, None)
    assert plain[0] < plain[1:].max()
    assert by_place[0] > by_place[1:].max()
    assert made.local(BANK) == BANK + BY_PLACE
