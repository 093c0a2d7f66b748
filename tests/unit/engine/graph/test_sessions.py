from pathlib import Path

import pytest

from blemish.engine.bundle import read_bundle
from blemish.engine.errors import BundleError
from blemish.engine.graph.sessions import ProviderError, _options, check_providers
from blemish.engine.runtime import Detector
from tests.products import LIMITS, draw, png


def test_a_provider_that_onnx_runtime_lacks_is_named_beside_those_it_has() -> None:
    with pytest.raises(ProviderError) as caught:
        check_providers(["tensorrt", "cpu", "cuda"])

    assert str(caught.value) == (
        "the installed ONNX Runtime has no tensorrt and no cuda; it has cpu"
    )


def test_a_bundle_is_not_run_by_the_cpu_in_silence(bundle: Path) -> None:
    with pytest.raises(BundleError, match="Runtime has no openvino; it has cpu"):
        Detector.load(read_bundle(bundle), threads=1, providers=["openvino", "cpu"])


def test_the_cpu_may_be_named(bundle: Path, detector: Detector) -> None:
    data = png(draw(31, "stain").pixels)

    named = Detector.load(read_bundle(bundle), threads=1, providers=["cpu"])

    def score(of: Detector) -> float:
        return of.detect(data, limits=LIMITS, mixed_sizes=False).score

    assert score(named) == score(detector)


def test_tensorrt_keeps_what_it_compiles_in_a_folder_if_one_is_named(tmp_path: Path) -> None:
    assert _options("tensorrt", threads=1, engine_cache=None) == {"trt_fp16_enable": "0"}
    assert _options("tensorrt", threads=1, engine_cache=tmp_path) == {
        "trt_fp16_enable": "0",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(tmp_path),
    }
