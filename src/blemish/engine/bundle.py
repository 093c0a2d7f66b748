"""The bundle: a trained detector as three files.

model.onnx     the whole detector as one graph
bundle.json    the meaning of its inputs and outputs, and its history
SHA256SUMS     checksums of both, as `sha256sum --check` reads them
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blemish.engine.backbones.catalogue import current_name
from blemish.engine.errors import BundleError
from blemish.engine.images.sizes import ImageSize

if TYPE_CHECKING:
    from blemish.engine.normal_images import NormalImages

FORMAT = 1
MODEL, INFO, CHECKSUMS = "model.onnx", "bundle.json", "SHA256SUMS"

RESIZE_RULE = (
    "Turn the image upright by its EXIF orientation, convert it to 8-bit RGB, and resize it to "
    "graph.width x graph.height with Pillow's resize and the filter BILINEAR; crop and pad nothing."
)
REDUCED_RULE = (
    " A JPEG is decoded at the smallest of 1/8, 1/4 and 1/2 of its size at which it is still at "
    "least graph.decoded_at_least (width, height; upright), as Pillow's draft does it."
)
"""Addition to the resize rule of a bundle with `decoded_at_least`."""
DEEP_RULE = (
    " Samples of 16 bits are shifted right by graph.sample_bits - 8; those above 255 become 255."
)
"""The addition of a bundle with `sample_bits`; without it, they are shifted right by 8."""


@dataclass(frozen=True, kw_only=True)
class AnomalyType:
    """A kind of defect with a class of its own, and its colour in masks."""

    name: str
    #: "#RRGGBB"
    color: str


@dataclass(frozen=True, kw_only=True)
class MeasuredScores:
    """Image scores of the test images, by their label, ascending."""

    normal: tuple[float, ...]
    anomaly: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class BundleRegions:
    """What counts in the images; the graph has the pixels themselves."""

    #: (width, height) of the region mask, as the images are stored
    mask_size: tuple[int, int]
    #: EXIF orientation that the graph's regions are turned by
    orientation: int
    #: (h, w) of the patches
    grid: tuple[int, int]
    #: 0 to 1, of the graph's image
    inspected_share: float
    #: whether they were changed after the training
    moved: bool = False


@dataclass(frozen=True, kw_only=True)
class BundleInfo:
    """The contents of bundle.json."""

    #: (width, height) in pixels
    graph_size: tuple[int, int]
    #: of most training images
    image_size: ImageSize
    #: the threshold in force, also the default of the graph
    threshold: float
    #: colour of the background, "#RRGGBB"
    background: str
    #: in the order of the classes after the background; empty for a classification model
    anomaly_types: tuple[AnomalyType, ...]
    #: how the detector was trained, for people
    history: Mapping[str, Any]
    #: the least (width, height) that a JPEG is decoded at; None in a bundle of an older version
    decoded_at_least: tuple[int, int] | None = None
    #: range of samples of 16 bits; None if the training images had 8, or in an older bundle
    sample_bits: int | None = None
    #: the trained threshold, where another is in force
    moved_from: float | None = None
    #: None in a bundle of an older version
    test_scores: MeasuredScores | None = None
    #: None if everything counts
    regions: BundleRegions | None = None
    #: None in a bundle of an older version, or of few normal images
    normal_images: NormalImages | None = None

    @property
    def backbone(self) -> str:
        """Name of the backbone; older bundles call the scattering by its former name."""
        return current_name(str(self.history["backbone"]["name"]))

    @property
    def trained_threshold(self) -> float:
        """The threshold that the training chose."""
        return self.threshold if self.moved_from is None else self.moved_from


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle in memory, its checksums verified."""

    info: BundleInfo
    #: the serialised graph
    model: bytes


def bundle_files(bundle: Bundle) -> dict[str, bytes]:
    """Return the files of a bundle, by name."""
    text = json.dumps(_to_json(bundle.info), indent=2, ensure_ascii=False) + "\n"
    files = {MODEL: bundle.model, INFO: text.encode()}
    sums = "".join(f"{_sha256(data)}  {name}\n" for name, data in files.items())
    return files | {CHECKSUMS: sums.encode()}


def parse_bundle(read: Callable[[str], bytes], *, name: str) -> Bundle:
    """Read a bundle and verify its checksums.

    Args:
        read: returns the file with a name; errors of `read` pass through.
        name: the name of the bundle in messages.

    Raises:
        BundleError: a file is damaged, or has an unknown format.
    """
    sums = _parse_checksums(read(CHECKSUMS), name)
    model, text = (_verified(read(file), file, sums, name) for file in (MODEL, INFO))
    return Bundle(info=_info(text, name), model=model)


def parse_info(read: Callable[[str], bytes], *, name: str) -> BundleInfo:
    """Read bundle.json alone, and verify its checksum; arguments and errors as `parse_bundle`."""
    sums = _parse_checksums(read(CHECKSUMS), name)
    return _info(_verified(read(INFO), INFO, sums, name), name)


def write_bundle(bundle: Bundle, directory: Path) -> None:
    """Write a bundle into an existing folder; all files are synced when this returns."""
    for name, data in bundle_files(bundle).items():
        with (directory / name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bundle(directory: Path) -> Bundle:
    """Read a bundle from a folder and verify its checksums.

    Raises:
        BundleError: a file is missing, damaged, or has an unknown format.
    """
    return parse_bundle(lambda name: _read(directory / name), name=str(directory))


def _info(text: bytes, name: str) -> BundleInfo:
    try:
        return _from_json(json.loads(text))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise BundleError(
            f"The bundle {name} cannot be read: {INFO} is not as format {FORMAT} wants it "
            f"({type(error).__name__}: {error})."
        ) from error


def _to_json(info: BundleInfo) -> dict[str, Any]:
    width, height = info.graph_size
    return {
        "format": FORMAT,
        "graph": {"file": MODEL, "width": width, "height": height} | _decode_rule(info),
        "pictures": {
            "stored_size": info.image_size.stored,
            "upright_size": info.image_size.upright,
        },
        "threshold": info.threshold,
        "trained_threshold": info.trained_threshold,
        "background": info.background,
        "anomaly_types": [{"name": t.name, "color": t.color} for t in info.anomaly_types],
        "history": info.history,
    } | _optional_members(info)


def _optional_members(info: BundleInfo) -> dict[str, Any]:
    members: dict[str, Any] = {}
    if info.test_scores is not None:
        members["test_scores"] = asdict(info.test_scores)
    if info.regions is not None:
        members["regions"] = asdict(info.regions)
    if info.normal_images is not None:
        members["normal_images"] = info.normal_images.to_json()
    return members


def _decode_rule(info: BundleInfo) -> dict[str, Any]:
    rule: dict[str, Any] = {"resize": RESIZE_RULE}
    if info.decoded_at_least is not None:
        rule["resize"] += REDUCED_RULE
        rule["decoded_at_least"] = info.decoded_at_least
    if info.sample_bits is not None:
        rule["resize"] += DEEP_RULE
        rule["sample_bits"] = info.sample_bits
    return rule


def _from_json(document: Any) -> BundleInfo:
    if document["format"] != FORMAT:
        raise ValueError(f"format {document['format']} is unknown")
    graph, sizes = document["graph"], document["pictures"]
    threshold = float(document["threshold"])
    trained = float(document.get("trained_threshold", threshold))
    return BundleInfo(
        graph_size=(int(graph["width"]), int(graph["height"])),
        image_size=ImageSize(
            stored=_size(sizes["stored_size"]), upright=_size(sizes["upright_size"])
        ),
        threshold=threshold,
        background=str(document["background"]),
        anomaly_types=tuple(
            AnomalyType(name=str(entry["name"]), color=str(entry["color"]))
            for entry in document["anomaly_types"]
        ),
        history=dict(document["history"]),
        decoded_at_least=_size(least) if (least := graph.get("decoded_at_least")) else None,
        sample_bits=_sample_bits(graph.get("sample_bits")),
        moved_from=None if trained == threshold else trained,
        test_scores=_scores(document.get("test_scores")),
        regions=_regions(document.get("regions")),
        normal_images=_normal_images(document.get("normal_images")),
    )


def _scores(value: Any) -> MeasuredScores | None:
    if value is None:
        return None
    normal, anomaly = (tuple(map(float, value[label])) for label in ("normal", "anomaly"))
    return MeasuredScores(normal=normal, anomaly=anomaly)


def _normal_images(document: Mapping[str, Any] | None) -> NormalImages | None:
    if not document:
        return None
    from blemish.engine.normal_images import NormalImages  # noqa: PLC0415 - it imports NumPy

    return NormalImages.from_json(document)


def _regions(value: Any) -> BundleRegions | None:
    if value is None:
        return None
    return BundleRegions(
        mask_size=_size(value["mask_size"]),
        orientation=int(value["orientation"]),
        grid=_size(value["grid"]),
        inspected_share=float(value["inspected_share"]),
        moved=bool(value["moved"]),
    )


def _sample_bits(value: Any) -> int | None:
    if value is None or 8 <= int(value) <= 16:
        return None if value is None else int(value)
    raise ValueError(f"sample_bits is {value}")


def _size(value: Any) -> tuple[int, int]:
    width, height = value
    return int(width), int(height)


def _parse_checksums(data: bytes, bundle: str) -> dict[str, str]:
    lines = data.decode(errors="replace").splitlines()
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    if missing := {MODEL, INFO} - sums.keys():
        raise BundleError(
            f"The bundle {bundle} is damaged: {CHECKSUMS} lacks {' and '.join(sorted(missing))}."
        )
    return sums


def _verified(data: bytes, name: str, sums: Mapping[str, str], bundle: str) -> bytes:
    if (digest := _sha256(data)) != sums[name]:
        raise BundleError(
            f"The bundle {bundle} is damaged: the SHA-256 checksum of {name} is {digest}, "
            f"not {sums[name]}."
        )
    return data


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"The bundle's file {path} cannot be read: {error.strerror}.") from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
