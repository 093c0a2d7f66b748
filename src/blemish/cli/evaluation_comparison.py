"""`blemish compare-evaluation`: an old model's evaluation files beside those of a model here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from blemish.cli.connection import ServerClients
from blemish.console.models.evaluation import (
    CELL_NAMES,
    ComparedImage,
    EvaluatedImage,
    cell_counts,
    compared_images,
    parse_evaluation_manifest,
)
from blemish.interchange.labelled import InterchangeError

METRICS = ("F1Score", "Precision", "Recall", "ROCAUC", "AveragePrecision")

SHOWN_IMAGES = 50
"""Images with other verdicts in the table; the others are counted."""

MAX_FILE_BYTES = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class ComparedEvaluation:
    """The evaluation result of a model, and the images of its manifest if there is one."""

    #: name -> value; None where it could not be measured
    metrics: Mapping[str, float | None]
    #: anomaly type -> F1 over pixels
    types: Mapping[str, float | None]
    test_images: int | None
    images: Sequence[EvaluatedImage] | None


def read_old_evaluation(result: Path, manifest: Path | None) -> ComparedEvaluation:
    """Read the files of an old model; its manifest has its usual name beside them by default.

    Raises:
        InterchangeError: a file is none of these.
        OSError: a file cannot be read.
    """
    if manifest is None:
        beside = result.with_name(result.name.replace("EvaluationResult", "EvaluationManifest"))
        manifest = beside if beside != result and beside.is_file() else None
    return parsed_evaluation(
        result.read_bytes(),
        None if manifest is None else manifest.read_bytes(),
        name=str(result),
    )


def read_model_evaluation(clients: ServerClients, project: str, version: str) -> ComparedEvaluation:
    """Read the evaluation files of a model of the server.

    Raises:
        InterchangeError: the model has none.
        ClientError, BotoCoreError: the server refused something.
    """
    model = clients.lookoutvision.describe_model(ProjectName=project, ModelVersion=version)
    description = model["ModelDescription"]
    if "EvaluationResult" not in description:
        raise InterchangeError(
            f"Model {project}/{version} is {description['Status']} and has no evaluation: "
            f"{description.get('StatusMessage', '')}"
        )
    files = (description["EvaluationResult"], description["EvaluationManifest"])
    result, manifest = (clients.s3.get_object(**file)["Body"].read() for file in files)
    return parsed_evaluation(result, manifest, name=f"{project}/{version}")


def parsed_evaluation(result: bytes, manifest: bytes | None, *, name: str) -> ComparedEvaluation:
    """Read the content of evaluation files.

    Raises:
        InterchangeError: it is of another kind; the message begins with `name`.
    """
    try:
        content = json.loads(result)
        metrics = content["AggregatedEvaluationResults"]["Metrics"]
        details = content.get("EvaluationDetails") or {}
        images = None if manifest is None else parse_evaluation_manifest(manifest)
        return ComparedEvaluation(
            metrics={metric: _number(metrics.get(metric)) for metric in METRICS},
            types={
                str(result["ClassName"]): _number(result.get("F1Score"))
                for result in metrics.get("PixelAnomalyClassMetrics") or ()
            },
            test_images=details.get("NumberOfTestingImages"),
            images=images,
        )
    except KeyError as error:
        raise InterchangeError(
            f"{name}: it is not an evaluation result: {error!s:.200} is missing."
        ) from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InterchangeError(
            f"{name}: it is not an evaluation result ({error!s:.200})."
        ) from None


def print_comparison(old: ComparedEvaluation, new: ComparedEvaluation, console: Console) -> None:
    """Print metrics, confusion matrices and the images with other verdicts."""
    console.print(_metrics_table(old, new))
    if old.images is None:
        console.print(
            "The old evaluation manifest is not beside the result, so its images cannot be "
            "compared. Name it with --manifest."
        )
        return
    pairs = compared_images(_by_key(old.images), _by_key(new.images or ()))
    console.print(_confusion_table(old.images, new.images or (), pairs))
    _say_sameness(len(old.images), len(new.images or ()), len(pairs), console)
    different = [pair for pair in pairs if pair.differs]
    if different:
        console.print(_images_table(different[:SHOWN_IMAGES]))
    if len(different) > SHOWN_IMAGES:
        console.print(f"... and {len(different) - SHOWN_IMAGES:,} more images")


def _metrics_table(old: ComparedEvaluation, new: ComparedEvaluation) -> Table:
    table = Table("metric", "old", "new", "difference", box=None)
    rows = [(name, old.metrics[name], new.metrics[name]) for name in METRICS]
    names = dict.fromkeys([*old.types, *new.types])
    rows += [(f"pixel F1 of {name}", old.types.get(name), new.types.get(name)) for name in names]
    for name, before, after in rows:
        known = before is not None and after is not None
        difference = f"{after - before:+.3f}" if known else ""  # type: ignore[operator]
        table.add_row(name, _shown(before), _shown(after), difference)
    table.add_row("test images", str(old.test_images or "?"), str(new.test_images or "?"), "")
    return table


def _confusion_table(
    old: Sequence[EvaluatedImage], new: Sequence[EvaluatedImage], pairs: Sequence[ComparedImage]
) -> Table:
    columns = (old, new, [pair.a for pair in pairs], [pair.b for pair in pairs])
    counts = [cell_counts(images) for images in columns]
    table = Table("images", "old", "new", "old, common images", "new, common images", box=None)
    for cell, name in CELL_NAMES.items():
        table.add_row(name, *(f"{count[cell]:,}" for count in counts))
    return table


def _say_sameness(old: int, new: int, common: int, console: Console) -> None:
    if common == old == new:
        console.print(f"Both models were tested on the same {common:,} images.")
        return
    console.print(
        f"{common:,} images are in both tests ({old:,} old, {new:,} new). Metrics of different "
        "images are not comparable: make the old evaluation manifest the test dataset, and train."
    )


def _images_table(pairs: Sequence[ComparedImage]) -> Table:
    table = Table("image", "label", "old", "new", box=None)
    for pair in pairs:
        verdicts = (f"{image.verdict} {image.confidence:.2f}" for image in (pair.a, pair.b))
        table.add_row(pair.a.ref, str(pair.a.truth), *verdicts)
    return table


def _by_key(images: Sequence[EvaluatedImage]) -> list[EvaluatedImage]:
    """Return images without their buckets, since a bucket may have another name here."""
    return [
        replace(image, ref=image.ref.removeprefix("s3://").partition("/")[2]) for image in images
    ]


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _shown(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"
