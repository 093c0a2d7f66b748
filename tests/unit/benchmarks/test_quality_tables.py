from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.quality_plan import ALL, NORMALS
from benchmarks.quality_tables import by_split, markdown, of_trial, summarize, with_means

PERFECT, CHANCE = [0.1, 0.2, 0.8, 0.9], [0.1, 0.9, 0.1, 0.9]
PEER = "anomalib patchcore"


def record(**changes: Any) -> dict[str, Any]:
    """Return a trial of two normal images and two anomalies, all told apart."""
    pixels = dict.fromkeys(("pixel_auroc", "aupro_30", "aupro_05"))
    return {
        "set": "parts",
        "detector": "ours",
        "arm": NORMALS,
        "split": "0",
        "draw": 0,
        "seed": 0,
        "normals": 2,
        "scores": PERFECT,
        "called": [0, 0, 1, 1],
        "confidence": [0.9, 0.8, 0.9, 1.0],
        "training_s": 2.0,
        "peak_mib": 300.0,
        "pixels": pixels,
        "overlaps": {},
    } | changes


def of_peer(**changes: Any) -> dict[str, Any]:
    found = record(detector=PEER, **changes)
    for name in ("called", "confidence", "overlaps"):
        del found[name]
    return found


def test_our_f1_is_at_our_own_threshold_and_the_peers_at_its_best() -> None:
    ours = of_trial(record(called=[1, 1, 1, 1]))
    its = of_trial(of_peer())

    assert ours["f1"] == pytest.approx(2 / 3)
    assert its["f1"] == 1.0


def test_a_row_is_the_mean_over_splits_and_its_spread_that_of_the_seeds() -> None:
    records = [
        record(split=split, seed=seed, scores=scores)
        for split, seed, scores in (
            ("0", 0, PERFECT),
            ("1", 0, CHANCE),
            ("0", 1, PERFECT),
            ("1", 1, PERFECT),
        )
    ]

    (row,) = summarize(records)["repeated"]

    assert row["image_auroc"] == pytest.approx(0.875)
    assert row["spread"] == pytest.approx(0.25 / 2**0.5)


def test_the_calibration_is_pooled_over_the_images_of_all_splits() -> None:
    (row,) = summarize([record(), record(split="1", confidence=[1.0, 1.0, 1.0, 1.0])])["repeated"]

    assert row["brier"] == pytest.approx((0.01 + 0.04 + 0.01) / 8)
    assert row["ece"] is None


def test_differences_are_paired_by_split() -> None:
    records = [record(split="0"), record(split="1"), record(split="2", scores=CHANCE)]
    records += [of_peer(split="0", scores=CHANCE), of_peer(split="1")]

    (row,) = summarize(records)["differences"]

    assert (row["of"], row["less"], row["splits"]) == ("ours / normals only", row["less"], 2)
    assert row["less"] == f"{PEER} / normals only"
    assert row["difference"].mean == pytest.approx(0.25)
    assert row["difference"].half == pytest.approx(12.706 * 0.25 * 3**0.5, rel=1e-3)


def test_labels_are_compared_with_none() -> None:
    records = [record(scores=CHANCE), record(arm=ALL)]

    (row,) = summarize(records)["differences"]

    assert (row["of"], row["less"]) == ("ours / all anomalies", "ours / normals only")
    assert row["difference"].mean == 0.5


def test_the_papers_count_as_one_set_in_the_mean() -> None:
    records = [record(set="PA_1"), record(set="PA_2", scores=CHANCE), record(set="parts")]

    found = with_means(by_split(records, NORMALS, "ours"))

    assert found == {"parts": {"0": 1.0}, "paper": {"0": 0.75}, "mean": {"0": 0.875}}


def test_a_mean_has_the_splits_that_all_of_its_sets_have() -> None:
    found = with_means({"a": {"0": 1.0, "1": 0.5}, "b": {"1": 0.7}, "PA_1": {"1": 0.9}})

    assert found["mean"] == {"1": pytest.approx(0.7)}


def test_a_paper_that_one_side_lacks_is_in_no_difference() -> None:
    records = [record(set="PA_1"), record(set="PA_2", scores=CHANCE)]
    records += [record(set="PA_1", arm=ALL)]

    (row,) = summarize(records)["differences"]

    assert (row["set"], row["difference"].mean) == ("paper", 0.0)


def test_the_sets_where_labels_add_something_have_a_mean_of_their_own() -> None:
    values = {name: {"0": 0.6} for name in ("magnetic_tile", "casting", "solar_cells")}

    found = with_means(values | {"cookies": {"0": 1.0}})

    assert found["mean of 3"] == {"0": pytest.approx(0.6)}
    assert found["mean"] == {"0": pytest.approx(0.7)}


def test_the_given_split_is_a_table_of_its_own() -> None:
    summary = summarize([record(), record(split="given", scores=CHANCE)])

    assert [row["image_auroc"] for row in summary["repeated"]] == [1.0]
    assert [row["image_auroc"] for row in summary["given"]] == [0.5]


def test_the_overlap_of_folds_is_pooled_over_their_pixels() -> None:
    def fold(number: int, both: int, ious: list[float]) -> dict[str, Any]:
        counts = {"both": both, "truth": 100, "answer": 100, "ious": ious}
        return record(arm=ALL, split=f"fold {number}", overlaps={"cracked": counts})

    (row,) = summarize([fold(0, 100, [1.0]), fold(1, 50, [0.2, 0.6])])["folds"]

    assert row["iou"] == pytest.approx(150 / 250)
    assert row["average_iou"] == pytest.approx(0.6)


def test_tables_are_markdown_and_those_without_rows_are_left_out() -> None:
    text = markdown(summarize([record(), record(split="1"), of_peer(), of_peer(split="1")]))

    assert "| parts | normals only | ours | 2 | 1.000 |" in text
    assert "+0.000 ± 0.000" in text
    assert "Pixels" not in text
    assert "given" not in text


def test_the_regret_is_the_recall_that_the_same_scores_allow() -> None:
    scores = [*np.linspace(0, 1, 40), 0.9, 1.5, 2.0, 3.0]
    called = [0] * 40 + [0, 0, 0, 1]

    measured = of_trial(record(scores=scores, called=called, normals=40))

    # two of forty normal images may be above the best threshold
    assert (measured["recall"], measured["false_alarms"]) == (0.25, 0.0)
    assert measured["regret"] == pytest.approx(0.75 - 0.25)
    assert of_trial(of_peer())["regret"] is None


def test_a_public_benchmark_has_a_row_for_each_category_and_their_mean() -> None:
    pixels = {"pixel_auroc": 0.9, "aupro_30": 0.8, "aupro_05": 0.5}
    records = [
        record(set="mvtec/bottle", split="given", pixels=pixels),
        record(set="mvtec/cable", split="given", scores=CHANCE, pixels=pixels),
    ]

    summary = summarize(records)

    rows = {row["set"]: row for row in summary["public"]}
    assert rows.keys() == {"mvtec/bottle", "mvtec/cable", "mvtec, mean"}
    assert rows["mvtec, mean"]["image_auroc"] == pytest.approx((1.0 + 0.5) / 2)
    assert rows["mvtec, mean"]["aupro_30"] == pytest.approx(0.8)
    assert not summary["given"]
    assert "| mvtec, mean | ours | 0.750 | 0.900 | 0.800 |" in markdown(summary)
