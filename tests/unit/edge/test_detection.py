from __future__ import annotations

import io
from pathlib import Path

import pytest

from blemish.edge.components import ComponentFolder, InstalledComponent
from blemish.edge.detection import load_component
from blemish.edge.errors import EdgeError
from blemish.engine.component import ComponentInfo, component_archive, component_files
from blemish.engine.errors import BundleError
from tests.unit.edge.test_components import BUNDLE


def installed(folder: Path, *providers: str) -> InstalledComponent:
    """Install a component for these providers."""
    info = ComponentInfo(
        name="plates",
        version="1.0.0",
        model_arn="arn",
        providers=providers,
        compiler_options={"gpu-code": "sm_72"},
        mixed_sizes=False,
    )
    archive = component_archive(component_files(BUNDLE, info))
    return ComponentFolder(folder).install(io.BytesIO(archive), autostart=None)


def test_a_component_for_a_card_says_what_the_device_lacks(tmp_path: Path) -> None:
    component = installed(tmp_path, "tensorrt", "cuda")

    with pytest.raises(BundleError, match="the installed ONNX Runtime has no tensorrt and no cuda"):
        load_component(component)


def test_a_provider_that_is_not_known_is_named(tmp_path: Path) -> None:
    component = installed(tmp_path, "abacus")

    with pytest.raises(EdgeError, match="the provider abacus"):
        load_component(component)


def test_a_graph_that_is_none_is_refused(tmp_path: Path) -> None:
    component = installed(tmp_path, "cpu")

    with pytest.raises(BundleError, match="The bundle cannot be loaded"):
        load_component(component)
