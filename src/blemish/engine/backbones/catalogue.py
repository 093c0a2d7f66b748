"""The backbones that Blemish knows by name: those installed with it, and those on the model hub.

A file on the hub is pinned by a commit, by the checksum that the hub shows for it, or by both.
"""

from __future__ import annotations

from dataclasses import dataclass

BSD, APACHE = "BSD-3-Clause", "Apache-2.0"

SCATTERING = "scattering"
"""A backbone that nobody trained. It is the default where `EFFICIENTNET_LITE0` is not installed."""

EFFICIENTNET_LITE0 = "efficientnet_lite0"
"""The fastest backbone, trained on photographs."""

JOINED = "joined"
"""The default: the scattering and EfficientNet-Lite0, each with a memory bank."""

ALIASES = {"waves": SCATTERING, "fast": EFFICIENTNET_LITE0}
"""Other names of backbones, in settings and in the history of bundles."""

REMOVED = "drawn"
"""A backbone that earlier versions contained. Models that were trained with it still work."""


@dataclass(frozen=True, kw_only=True)
class PackagedBackbone:
    """A network that is installed with Blemish."""

    name: str
    architecture: str
    #: of the serialised network, rounded
    kilobytes: int
    licence: str = APACHE


PACKAGED = (
    PackagedBackbone(
        name=JOINED, architecture="scattering and EfficientNet-Lite0", kilobytes=3_130
    ),
    PackagedBackbone(name=EFFICIENTNET_LITE0, architecture="EfficientNet-Lite0", kilobytes=3_100),
    PackagedBackbone(name=SCATTERING, architecture="scattering", kilobytes=30),
)


@dataclass(frozen=True, kw_only=True)
class KnownBackbone:
    """A pretrained network on the hub."""

    name: str
    repository: str
    #: a commit, or a branch where `sha256` fixes the file
    revision: str
    #: the licence that the hub's page of the repository shows
    licence: str
    #: of the file, as the hub shows it; None where only the commit fixes it
    sha256: str | None
    #: of the file, in MB, rounded
    megabytes: int
    file: str = "model.safetensors"


CATALOGUE = {
    known.name: known
    for known in (
        KnownBackbone(
            name="resnet18",
            repository="timm/resnet18.tv_in1k",
            revision="main",
            licence=BSD,
            sha256="694f673df6520a3158624e8a89af086f59923ee4cd7436fe5bc3bc71d295ad81",
            megabytes=47,
        ),
        KnownBackbone(
            name="resnet34",
            repository="timm/resnet34.tv_in1k",
            revision="c983eba7f5e69bc3548a626d1b0b0b914e5de3a6",
            licence=BSD,
            sha256=None,
            megabytes=87,
        ),
        KnownBackbone(
            name="resnet50",
            repository="timm/resnet50.tv_in1k",
            revision="main",
            licence=BSD,
            sha256="5d061a3c593d795bfe682d9b152bafbcf550579873492def3515b46db1189888",
            megabytes=102,
        ),
        KnownBackbone(
            name="wide_resnet50_2",
            repository="timm/wide_resnet50_2.tv_in1k",
            revision="main",
            licence=BSD,
            sha256="df6fb6c4824769769de18e14088475fd6ee94236849aa4e5d8022ba9d9a9a16c",
            megabytes=276,
        ),
        KnownBackbone(
            name="mobilenetv4_conv_small",
            repository="timm/mobilenetv4_conv_small.e2400_r224_in1k",
            revision="62da402ab468e9f1581764050d6be51fda8a35f0",
            licence=APACHE,
            sha256=None,
            megabytes=15,
        ),
        KnownBackbone(
            name="dinov2_vits14",
            repository="timm/vit_small_patch14_dinov2.lvd142m",
            revision="cace07adb9220de26eb51226ecbef6d04d35defe",
            licence=APACHE,
            sha256=None,
            megabytes=88,
        ),
        KnownBackbone(
            name="dinov2_vitb14",
            repository="timm/vit_base_patch14_dinov2.lvd142m",
            revision="main",
            licence=APACHE,
            sha256="55cbb5d887b336d430e649c277b85a1429e724871f9d02ac16203235886d8c7b",
            megabytes=346,
        ),
    )
}
"""Source: the pages of the repositories on the hub: licence, files, "Git LFS Details"."""


def known_by_checksum(sha256: str) -> KnownBackbone | None:
    """Return the catalogue entry with this checksum, or None."""
    return next((known for known in CATALOGUE.values() if known.sha256 == sha256), None)


def current_name(name: str) -> str:
    """Return the name that a backbone has today, given that or another one."""
    return ALIASES.get(name, name)


def is_packaged(name: str) -> bool:
    """Tell whether a backbone of this name, or of this other one, is installed with Blemish."""
    return current_name(name) in {entry.name for entry in PACKAGED}
