"""JSON Lines as clients, the original's console and Ground Truth write them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

BUCKET = "images"


def label_fields(
    class_name: object,
    *,
    attribute: str = "anomaly-label",
    value: object = 0,
    date: object = "2024-01-02T03:04:05.678Z",
) -> dict[str, Any]:
    """Return the fields of a classification."""
    return {
        attribute: value,
        f"{attribute}-metadata": {
            "class-name": class_name,
            "type": "groundtruth/image-classification",
            "human-annotated": "yes",
            "confidence": 1.0,
            "creation-date": date,
            "job-name": "labeling-job/anomaly-label",
        },
    }


def mask_fields(
    url: object, colors: Mapping[str, Any], *, attribute: str = "anomaly-mask-ref"
) -> dict[str, Any]:
    """Return the fields of a mask; `colors` maps class names to what stands as their colour."""
    return {
        attribute: url,
        f"{attribute}-metadata": {
            "internal-color-map": {
                str(key): {"class-name": name, "hex-color": color, "confidence": 0.5}
                for key, (name, color) in enumerate(colors.items())
            },
            "type": "groundtruth/semantic-segmentation",
            "human-annotated": "yes",
            "creation-date": "2024-01-02T03:04:05.678Z",
        },
    }


def url(key: str, *, bucket: str = BUCKET) -> str:
    """Return the address of an object."""
    return f"s3://{bucket}/{key}"


def json_line(key: str, label: str | None = None, **fields: Any) -> str:
    """Return the JSON Line of an image in the usual bucket."""
    labelled = {} if label is None else label_fields(label)
    return json.dumps({"source-ref": url(key)} | labelled | fields)


IMAGE = {"source-ref": url("a.png")}
LABEL = label_fields("normal")
MASK = mask_fields(url("a-mask.png"), {"scratch": "#23A436"})


def changed(fields: dict[str, Any], name: str, **values: Any) -> dict[str, Any]:
    """Return a line whose metadata `name` has other values (None takes a member away)."""
    members = {key.replace("_", "-"): value for key, value in values.items()}
    metadata = fields[name] | members
    return fields | {name: {key: value for key, value in metadata.items() if value is not None}}


def masked_line(key: str, *types: str, mask: str = "mask.png") -> str:
    """Return the line of an anomaly whose mask may show these types."""
    colors = {name: f"#0000{i:02X}" for i, name in enumerate(types)}
    return json_line(key, "anomaly", **mask_fields(url(mask), colors))
