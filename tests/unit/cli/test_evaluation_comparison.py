from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from blemish.cli.evaluation_comparison import (
    parsed_evaluation,
    print_comparison,
    read_old_evaluation,
)
from blemish.interchange.labelled import InterchangeError

METRICS = {"Precision": 1.0, "Recall": 0.5, "F1Score": 0.667, "ROCAUC": None}


def result(**metrics: Any) -> bytes:
    content = {"Metrics": METRICS | metrics}
    details = {"NumberOfTestingImages": 2}
    return json.dumps(
        {"AggregatedEvaluationResults": content, "EvaluationDetails": details}
    ).encode()


def manifest(*images: tuple[str, str, str]) -> bytes:
    lines = [
        {
            "source-ref": ref,
            "anomaly-label-metadata": {"class-name": truth},
            "anomaly-label-detected-metadata": {"class-name": verdict, "confidence": 0.75},
        }
        for ref, truth, verdict in images
    ]
    return "\n".join(map(json.dumps, lines)).encode()


def printed(old: Any, new: Any) -> str:
    stream = io.StringIO()
    print_comparison(old, new, Console(file=stream, width=120))
    return stream.getvalue()


def test_metrics_images_and_confusion_stand_side_by_side() -> None:
    old = parsed_evaluation(
        result(),
        manifest(("s3://old/a", "anomaly", "normal"), ("s3://old/b", "normal", "normal")),
        name="old",
    )
    new = parsed_evaluation(
        result(Recall=0.75),
        manifest(("s3://new/a", "anomaly", "anomaly"), ("s3://new/c", "normal", "anomaly")),
        name="new",
    )

    text = printed(old, new)

    rows = [line.split() for line in text.splitlines()]
    assert ["Recall", "0.500", "0.750", "+0.250"] in rows
    assert ["ROCAUC", "not", "measured", "not", "measured"] in rows
    assert ["anomalies", "missed", "1", "0", "1", "0"] in rows
    assert ["false", "alarms", "0", "1", "0", "0"] in rows
    assert ["a", "anomaly", "normal", "0.75", "anomaly", "0.75"] in rows
    assert "1 images are in both tests (2 old, 2 new)." in text


def test_without_the_old_manifest_metrics_are_compared_alone(tmp_path: Path) -> None:
    (tmp_path / "EvaluationResult-p-1.json").write_bytes(result())
    old = read_old_evaluation(tmp_path / "EvaluationResult-p-1.json", None)

    text = printed(old, parsed_evaluation(result(), manifest(), name="new"))

    assert "Name it with --manifest." in text
    assert "false alarms" not in text


@pytest.mark.parametrize("content", [b"{}", b"[]", b"no", b'{"AggregatedEvaluationResults": 1}'])
def test_other_files_are_refused_by_name(content: bytes) -> None:
    with pytest.raises(InterchangeError, match=r"^old\.json: it is not an evaluation result"):
        parsed_evaluation(content, None, name="old.json")


def test_a_file_of_another_kind_is_refused_with_the_member_that_it_lacks() -> None:
    with pytest.raises(InterchangeError, match=r"result: 'AggregatedEvaluationResults' is missing"):
        parsed_evaluation(b"{}", None, name="old.json")
