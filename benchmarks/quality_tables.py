"""What the trials of `benchmarks.quality` say together: tables, as Markdown and as plain data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measures import Interval, brier_score, calibration_error, interval, log_loss
from benchmarks.quality_plan import ALL, ANOMALIES, FIVE, FOLD, GIVEN, NORMALS, REPEATED, TEN
from blemish.engine.metrics import (
    average_precision,
    best_f1_threshold,
    precision_recall_f1,
    roc_auc,
)

Record = Mapping[str, Any]
Row = dict[str, Any]
BySplit = dict[str, dict[str, float]]
"""Set -> split -> image AUROC, or a difference of it."""

PAPER, MEAN, MEAN_OF_THREE = "paper", "mean", "mean of 3"
THREE = {"magnetic_tile", "casting", "solar_cells"}
"""The sets on which labels have something to add."""

PEERS = ("anomalib patchcore", "anomalib padim")
TRAINED_PEERS = ("anomalib efficientad", "anomalib dinomaly")
ALARMS = 0.05
"""The share of false alarms at which the regret compares recall."""

PIXELS = ("pixel_auroc", "aupro_30", "aupro_05")


def of_trial(record: Record) -> dict[str, float | None]:
    """Return the measures of one trial.

    anomalib's F1 is at the threshold that is best for the test images, as its default is.
    """
    scores = np.array(record["scores"])
    truth = np.arange(len(scores)) >= record["normals"]
    if (called := record.get("called")) is None:
        verdicts = scores >= best_f1_threshold(truth, scores)
    else:
        verdicts = np.array(called, dtype=np.bool_)
    overlaps = record.get("overlaps", {}).values()
    thresholds = dict.fromkeys(("recall", "false_alarms", "regret"))
    if called is not None:
        thresholds = threshold_measures(truth, scores, verdicts)
    return {
        "image_auroc": roc_auc(truth, scores),
        "ap": average_precision(truth, scores),
        "f1": precision_recall_f1(truth, verdicts).f1,
        **thresholds,
        "training_s": record["training_s"],
        "peak_mib": record["peak_mib"],
        **record["pixels"],
        "iou": pooled_iou(overlaps),
        "average_iou": _mean([iou for its in overlaps for iou in its["ious"]]),
    }


def threshold_measures(
    truth: NDArray[np.bool_], scores: NDArray[np.float64], verdicts: NDArray[np.bool_]
) -> dict[str, float | None]:
    """Return recall and false alarms of the verdicts, and the regret.

    The regret is the recall that the best threshold for these images would add, with no more than
    `ALARMS` of the normal images called anomalous.
    """
    if truth.all() or not truth.any():
        return dict.fromkeys(("recall", "false_alarms", "regret"))
    normal = np.sort(scores[~truth])[::-1]
    allowed = int(ALARMS * len(normal))
    recall = float(verdicts[truth].mean())
    possible = float((scores[truth] > normal[allowed]).mean())
    return {
        "recall": recall,
        "false_alarms": float(verdicts[~truth].mean()),
        "regret": max(0.0, possible - recall),
    }


def public_rows(records: Sequence[Record]) -> list[Row]:
    """Return a row for each category and detector, and means of each benchmark."""
    rows: list[Row] = []
    for (benchmark,), its in _grouped(
        [{**record, "benchmark": record["set"].partition("/")[0]} for record in records],
        ("benchmark",),
    ).items():
        measured = [
            {"set": record["set"], "detector": record["detector"]} | of_trial(record)
            for record in sorted(its, key=lambda r: (r["set"], r["detector"]))
        ]
        rows += measured
        for (detector,), of_detector in _grouped(measured, ("detector",)).items():
            means = {
                key: _mean([row[key] for row in of_detector])
                for key in measured[0]
                if key not in {"set", "detector"}
            }
            rows.append({"set": f"{benchmark}, mean", "detector": detector} | means)
    return rows


def pooled_iou(overlaps: Iterable[Mapping[str, Any]]) -> float | None:
    """Return the IoU of the pixels of all images and types together."""
    its = list(overlaps)
    both = sum(each["both"] for each in its)
    union = sum(each["truth"] + each["answer"] for each in its) - both
    return both / union if union else None


def quality_rows(records: Sequence[Record]) -> list[Row]:
    """Return one row for each set, arm and detector: means over splits, draws and seeds.

    `spread` is the standard deviation, over the seeds, of the mean of image AUROC over the rest.
    """
    rows = []
    for (name, arm, detector), its in _grouped(records, ("set", "arm", "detector")).items():
        measured = [of_trial(record) for record in its]
        seeds = _grouped(its, ("seed",)).values()
        means = [_mean([of_trial(record)["image_auroc"] for record in seed]) for seed in seeds]
        of_seeds = [mean for mean in means if mean is not None]
        rows.append(
            {"set": name, "arm": arm, "detector": detector, "trials": len(its)}
            | {key: _mean([each[key] for each in measured]) for key in measured[0]}
            | {"spread": float(np.std(of_seeds, ddof=1)) if len(of_seeds) > 1 else None}
            | _calibration(its)
        )
    return sorted(rows, key=_place)


def _calibration(records: Sequence[Record]) -> dict[str, float | None]:
    """Return the measures of Confidence over the images of all trials of the first seed."""
    its = [each for each in records if "called" in each and each["seed"] == 0]
    if not its:
        return dict.fromkeys(("brier", "log_loss", "ece"))
    truth = np.concatenate([np.arange(len(each["scores"])) >= each["normals"] for each in its])
    called = np.concatenate([each["called"] for each in its]).astype(np.bool_)
    confidence = np.concatenate([each["confidence"] for each in its])
    probability = np.where(called, confidence, 1 - confidence)
    return {
        "brier": brier_score(truth, probability),
        "log_loss": log_loss(truth, probability),
        "ece": calibration_error(called == truth, confidence),
    }


def by_split(records: Sequence[Record], arm: str, detector: str) -> BySplit:
    """Return the image AUROC of each set and split, the mean of draws and seeds."""
    its = [r for r in records if (r["arm"], r["detector"]) == (arm, detector)]
    found: BySplit = defaultdict(dict)
    for (name, split), trials in _grouped(its, ("set", "split")).items():
        mean = _mean([of_trial(record)["image_auroc"] for record in trials])
        if mean is not None:
            found[name][split] = mean
    return found


def with_means(values: BySplit) -> BySplit:
    """Return sets and means of sets, each at the splits that all of its sets have.

    The papers count as one set, `paper`. `mean` is that of all sets, `mean of 3` that of `THREE`.
    """
    papers = [its for name, its in values.items() if name.startswith("PA_")]
    found = {name: dict(its) for name, its in values.items() if not name.startswith("PA_")}
    if papers:
        found[PAPER] = _across(papers)
    means = {MEAN: _across(list(found.values()))} if len(found) > 1 else {}
    if found.keys() > THREE:
        means[MEAN_OF_THREE] = _across([found[name] for name in sorted(THREE)])
    return {name: its for name, its in (found | means).items() if its}


def mean_rows(records: Sequence[Record]) -> list[Row]:
    """Return the mean image AUROC of each arm and detector on each set and over all sets."""
    rows = []
    for arm, detector in sorted({(record["arm"], record["detector"]) for record in records}):
        for name, its in with_means(by_split(records, arm, detector)).items():
            numbers = {"splits": len(its), "image_auroc": interval(list(its.values()))}
            rows.append({"set": name, "arm": arm, "detector": detector} | numbers)
    return sorted(rows, key=_place)


def difference_rows(records: Sequence[Record]) -> list[Row]:
    """Return paired differences of image AUROC over the splits, with their 95 % intervals."""
    detectors = sorted({record["detector"] for record in records})
    own = [each for each in detectors if each not in (*PEERS, *TRAINED_PEERS)]
    pairs = [((arm, each), (NORMALS, each)) for each in own for arm in (ALL, TEN, FIVE)]
    pairs += [
        ((NORMALS, each), (NORMALS, peer)) for each, peer in product(own, (*PEERS, *TRAINED_PEERS))
    ]
    rows = []
    for one, other in pairs:
        mine, its = by_split(records, *one), by_split(records, *other)
        paired = {
            name: {
                split: mine[name][split] - its[name][split]
                for split in mine[name].keys() & its[name].keys()
            }
            for name in mine.keys() & its.keys()
        }
        told = {"of": " / ".join(reversed(one)), "less": " / ".join(reversed(other))}
        for name, found in sorted(with_means(paired).items(), key=lambda item: _set_place(item[0])):
            numbers = {"splits": len(found), "difference": interval(list(found.values()))}
            rows.append({"set": name} | told | numbers)
    return rows


def fold_rows(records: Sequence[Record]) -> list[Row]:
    """Return, for each anomaly type, IoU over the pixels of all held-out folds, and average IoU."""
    rows = []
    for (name, detector, seed), its in _grouped(records, ("set", "detector", "seed")).items():
        for kind in sorted({kind for record in its for kind in record["overlaps"]}):
            overlaps = [r["overlaps"][kind] for r in its if kind in r["overlaps"]]
            row = {"set": name, "detector": detector, "seed": seed, "type": kind}
            ious = [iou for each in overlaps for iou in each["ious"]]
            measured = {"iou": pooled_iou(overlaps), "average_iou": _mean(ious)}
            rows.append(row | {"folds": len(overlaps)} | measured)
    return rows


def summarize(records: Sequence[Record]) -> dict[str, list[Row]]:
    """Return all rows, by the name of their table."""
    repeated = [record for record in records if record["split"] in REPEATED]
    public = [record for record in records if "/" in record["set"]]
    given = [r for r in records if r["split"] == GIVEN and "/" not in r["set"]]
    return {
        "repeated": quality_rows(repeated),
        "means": mean_rows(repeated),
        "differences": difference_rows(repeated),
        "given": quality_rows(given),
        "public": public_rows(public),
        "folds": fold_rows([record for record in records if record["split"].startswith(FOLD)]),
    }


COLUMNS = {
    "means": "set,arm,detector,splits,image_auroc",
    "repeated": "set,arm,detector,trials,image_auroc,spread,ap,f1,brier,log_loss,ece,training_s,"
    "peak_mib",
    "thresholds": "set,arm,detector,trials,recall,false_alarms,regret",
    "public": "set,detector,image_auroc,pixel_auroc,aupro_30,recall,false_alarms,regret",
    "pixels": "set,arm,detector,pixel_auroc,aupro_30,aupro_05,iou,average_iou",
    "differences": "set,of,less,splits,difference",
    "given": "set,arm,detector,trials,image_auroc,ap,f1,pixel_auroc,aupro_30,iou",
    "folds": "set,detector,seed,type,folds,iou,average_iou",
}
TITLES = {
    "public": "Public benchmarks, their own split",
    "means": "Image AUROC, mean over the splits by group with its 95 % interval",
    "repeated": "Splits by group, all measures",
    "thresholds": "At our threshold: recall, false alarms, and the recall that is lost (regret)",
    "pixels": "Pixels, splits by group",
    "differences": "Paired differences of image AUROC, with their 95 % interval",
    "given": "The given split, which leaks",
    "folds": "Segmentation, five folds of the training images",
}


def markdown(summary: Mapping[str, Sequence[Row]]) -> str:
    """Return the tables that have rows."""
    tables = dict(summary)
    tables["thresholds"] = [row for row in tables["repeated"] if row["recall"] is not None]
    tables["pixels"] = [row for row in tables["repeated"] if row["pixel_auroc"] is not None]
    return "\n\n".join(
        f"### {title}\n\n{_table(tables[name], COLUMNS[name].split(','))}"
        for name, title in TITLES.items()
        if tables[name]
    )


def _table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    head = [column.replace("_", " ") for column in columns]
    lines = [head, ["---"] * len(columns), *([_text(row[c], c) for c in columns] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(value: object, column: str) -> str:
    match value:
        case None:
            return ""
        case Interval(mean, half):
            sign = "+" if column == "difference" else ""
            return f"{mean:{sign}.3f}" + ("" if half is None else f" ± {half:.3f}")
        case float() if column in {"training_s", "peak_mib"}:
            return f"{value:.1f}" if value < 100 else f"{value:.0f}"
        case float():
            return f"{value:.3f}"
        case _:
            return str(value)


def _grouped(records: Iterable[Record], keys: Sequence[str]) -> dict[tuple[Any, ...], list[Record]]:
    groups: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for record in records:
        groups[tuple(record[key] for key in keys)].append(record)
    return groups


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _across(sets: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of sets at each split that all of them have."""
    shared = set.intersection(*(set(its) for its in sets))
    return {split: float(np.mean([its[split] for its in sets])) for split in sorted(shared)}


def _set_place(name: str) -> tuple[bool, str]:
    return name.startswith(MEAN), name


def _place(row: Row) -> tuple[tuple[bool, str], int, str]:
    return _set_place(row["set"]), [*ANOMALIES].index(row["arm"]), row["detector"]
