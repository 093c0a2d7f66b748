"""A model component: a trained model as the files that run on an edge device.

    model.onnx      the detector as one graph
    bundle.json     the inputs and outputs of the graph, and how the detector came to be
    manifest.json   the model in the form of the original's components, with members of ours
    LICENSES.txt    the licences of what is inside
    SHA256SUMS      checksums of the other files

The zip of these files is reproducible: the same model gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from blemish.engine.backbones.catalogue import CATALOGUE, EFFICIENTNET_LITE0, JOINED, PACKAGED
from blemish.engine.bundle import CHECKSUMS, INFO, MODEL, Bundle, BundleInfo, bundle_files
from blemish.engine.errors import BundleError

FORMAT = 1
MANIFEST, LICENSES = "manifest.json", "LICENSES.txt"
FILES = (MODEL, INFO, MANIFEST, LICENSES, CHECKSUMS)

_NORMAL_ID = 1
_OLDEST_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can store."""


@dataclass(frozen=True, kw_only=True)
class ComponentInfo:
    """The members of manifest.json that the edge agent reads."""

    name: str
    #: `major.minor.patch`
    version: str
    model_arn: str
    #: names in `sessions.PROVIDERS`, preferred first
    providers: tuple[str, ...]
    #: as the packaging job got them
    compiler_options: Mapping[str, Any]
    #: whether an image may have another size than the training images
    mixed_sizes: bool


def component_files(bundle: Bundle, info: ComponentInfo) -> dict[str, bytes]:
    """Return the files of a component, by name."""
    files = bundle_files(bundle)
    files[MANIFEST] = _json(_manifest(bundle.info, info))
    files[LICENSES] = _licenses(bundle.info).encode()
    del files[CHECKSUMS]
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items()]
    return files | {CHECKSUMS: "".join(lines).encode()}


def component_archive(files: Mapping[str, bytes]) -> bytes:
    """Return the files as a zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            member = zipfile.ZipInfo(name, _OLDEST_TIME)
            member.external_attr = 0o644 << 16
            archive.writestr(member, data, zipfile.ZIP_DEFLATED, compresslevel=1)
    return buffer.getvalue()


def check_component_files(files: Mapping[str, bytes], *, name: str) -> None:
    """Compare the files of a component with `SHA256SUMS`; `name` is what messages call it.

    Raises:
        BundleError: a file is damaged, or has no checksum.
    """
    lines = files[CHECKSUMS].decode(errors="replace").splitlines()
    sums = {file: digest for digest, _, file in (line.partition("  ") for line in lines)}
    for file in FILES:
        if file == CHECKSUMS:
            continue
        digest = hashlib.sha256(files[file]).hexdigest()
        if sums.get(file) != digest:
            raise BundleError(
                f"The component {name} is damaged: the SHA-256 checksum of {file} is {digest}, "
                f"not {sums.get(file, 'there')}."
            )


def parse_component_info(data: bytes, *, name: str) -> ComponentInfo:
    """Read manifest.json; `name` is what messages call the component.

    Raises:
        BundleError: the manifest is damaged, or of a format that is not known.
    """
    try:
        ours = json.loads(data)["blemish"]
        if ours["format"] != FORMAT:
            raise ValueError(f"format {ours['format']} is unknown")
        return ComponentInfo(
            name=str(ours["component"]),
            version=str(ours["version"]),
            model_arn=str(ours["model_arn"]),
            providers=tuple(map(str, ours["providers"])),
            compiler_options=dict(ours["compiler_options"]),
            mixed_sizes=bool(ours["mixed_sizes"]),
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(
            f"The component {name} cannot be read: {MANIFEST} is not as format {FORMAT} wants it "
            f"({type(error).__name__}: {error})."
        ) from error


def _manifest(bundle: BundleInfo, info: ComponentInfo) -> dict[str, Any]:
    """Describe a model as the original's components did.

    Source: manifest.json of a component of the original, and the loader of AWS's
    DefectDetectionApplication.
    """
    (width, height), types = bundle.graph_size, [entry.name for entry in bundle.anomaly_types]
    dataset = dict(zip(("image_width", "image_height"), bundle.image_size.stored, strict=True))
    stage = {
        "type": "blemish",
        "class_normal_ids": [_NORMAL_ID],
        "seg_normal_ids": [0] if types else [],
        "classification_head_enabled": True,
        "segmentation_head_enabled": bool(types),
        "threshold": bundle.threshold,
        "normalize": False,  # the graph takes pixels and normalises them itself
        "image_range_scale": False,
        "image_width": width,
        "image_height": height,
        "input_shape": [1, 3, height, width],
    }
    return {
        "model_graph": {
            "model_graph_type": "single_stage_model_graph",
            "stages": [stage],
            "image_level_classes": {"names": ["anomaly", "normal"], "normal_ids": [_NORMAL_ID]},
            "pixel_level_classes": {
                "names": ["background", *types] if types else [],
                "normal_ids": [0] if types else [],
            },
        },
        "compilable_models": [
            {
                "filename": MODEL,
                "data_input_config": {"pixels": [1, height, width, 3]},
                "framework": "ONNX",
            }
        ],
        "dataset": dataset,
        "blemish": {
            "format": FORMAT,
            "component": info.name,
            "version": info.version,
            "model_arn": info.model_arn,
            "providers": info.providers,
            "compiler_options": info.compiler_options,
            "mixed_sizes": info.mixed_sizes,
            **_regions(bundle),
        },
    }


def _regions(bundle: BundleInfo) -> dict[str, Any]:
    return {} if bundle.regions is None else {"regions": asdict(bundle.regions)}


def _licenses(bundle: BundleInfo) -> str:
    backbone = bundle.history.get("backbone", {})
    name = str(backbone.get("name", "unknown"))
    known = {entry.name: entry.licence for entry in PACKAGED} | {
        entry.name: entry.licence for entry in CATALOGUE.values()
    }
    license_name = known.get(name, "not known to Blemish: ask whoever imported the backbone")
    return (
        "This component was made by Blemish.\n\n"
        f"{MODEL}: the trained model belongs to whoever trained it. It contains weights of the\n"
        f"backbone {name} (SHA-256 {backbone.get('sha256', 'unknown')}).\n"
        f"Licence of the backbone: {license_name}.\n{_notice(name)}\n"
        f"{INFO}, {MANIFEST}: written by Blemish, Apache-2.0.\n"
    )


def _notice(backbone: str) -> str:
    if backbone not in {JOINED, EFFICIENTNET_LITE0}:
        return ""
    return (
        "The weights of EfficientNet-Lite0: trained by Google on ImageNet, published under\n"
        "Apache-2.0; converted to PyTorch, Copyright 2020 ML Illustrated, Apache-2.0.\n"
    )


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
