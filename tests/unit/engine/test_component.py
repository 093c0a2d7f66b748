from __future__ import annotations

import pytest

from blemish.engine.backbones.catalogue import EFFICIENTNET_LITE0, JOINED, SCATTERING
from blemish.engine.bundle import Bundle, BundleInfo
from blemish.engine.component import ComponentInfo, component_files
from blemish.engine.images.sizes import ImageSize


@pytest.mark.parametrize(
    ("backbone", "noted"), [(JOINED, True), (EFFICIENTNET_LITE0, True), (SCATTERING, False)]
)
def test_the_licences_name_who_trained_the_weights(backbone: str, *, noted: bool) -> None:
    info = BundleInfo(
        graph_size=(256, 192),
        image_size=ImageSize(stored=(640, 480), upright=(640, 480)),
        threshold=2.5,
        background="#FFFFFF",
        anomaly_types=(),
        history={"backbone": {"name": backbone, "sha256": "ab" * 32}},
    )
    component = ComponentInfo(
        name="circuits",
        version="1.0.0",
        model_arn="",
        providers=("cpu",),
        compiler_options={},
        mixed_sizes=False,
    )

    licences = component_files(Bundle(info=info, model=b"a graph"), component)["LICENSES.txt"]

    assert b"Licence of the backbone: Apache-2.0." in licences
    assert (b"trained by Google on ImageNet" in licences) == noted
