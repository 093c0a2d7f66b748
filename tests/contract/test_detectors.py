"""What every detector must keep, whatever its backbone and its heads."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from blemish.engine.backbones.backbone import Backbone, load_backbone
from blemish.engine.backbones.embedding import Embedder
from blemish.engine.bundle import read_bundle
from blemish.engine.graph.detector_graph import DetectorParts, detector_graph
from blemish.engine.graph.sessions import open_session
from blemish.engine.images.decode import decode
from blemish.engine.images.resize import resize
from blemish.engine.images.upsample import upsampling_matrix
from blemish.engine.normal_images import embedding_reference
from blemish.engine.runtime import Detection, Detector
from blemish.engine.scorers.memory_bank import bank_projections
from blemish.engine.scorers.patch_classifier import HIDDEN, PatchClassifier
from blemish.engine.scorers.pooling import image_score, pooled_embedding
from blemish.engine.scorers.positions import border_weights
from blemish.engine.scorers.registry import SCORERS
from blemish.engine.scorers.scorer import ImageScorer, PatchScorer, ScoreKey, Scorer
from blemish.engine.scorers.subspace import SUBSPACE
from blemish.engine.training.calibration import Calibration
from blemish.engine.training.cross_validation import cross_validate, fit_scorers
from blemish.engine.training.features import collect_features
from blemish.engine.training.fusion import fusion, standard
from blemish.engine.training.labeled_images import LabeledImage
from blemish.engine.training.score_table import ScoreTable, score_table
from blemish.engine.training.selection import Candidate, candidates_for, map_fusion
from blemish.engine.training.train import TrainingOptions
from blemish.engine.training.validation import training_set, validate_datasets
from tests.contract.another_scorer import CHANNEL_SUM
from tests.products import LIMITS, anomalous_images, draw, normal_images, options, train_into
from tests.refining import refined

WIDTH, HEIGHT = 256, 160
KINDS = ["classifying", "segmenting", "scattering"]
FRESH = [*normal_images(6, first=500), *anomalous_images(3, "stain", first=3_000)]
FRESH += anomalous_images(3, "hole", first=4_000)


@pytest.fixture(params=KINDS)
def detector(request: pytest.FixtureRequest, bundles: dict[str, Path]) -> Detector:
    return Detector.load(read_bundle(bundles[request.param]), threads=1)


def detections(detector: Detector, images: list[LabeledImage]) -> list[Detection]:
    return [detector.detect(image.read(), limits=LIMITS, mixed_sizes=False) for image in images]


def training_images() -> list[LabeledImage]:
    return normal_images(5) + anomalous_images(3, "stain", masked=True)


def checksums(images: list[LabeledImage], folder: Path, training: TrainingOptions) -> str:
    folder.mkdir()
    train_into(folder, images, training)
    return (folder / "SHA256SUMS").read_text()


def test_a_planted_defect_scores_above_every_normal_image(detector: Detector) -> None:
    found = detections(detector, FRESH)
    scores = {image.name: each.score for image, each in zip(FRESH, found, strict=True)}

    normal = [score for name, score in scores.items() if name.startswith("normal")]
    planted = [score for name, score in scores.items() if not name.startswith("normal")]
    assert min(planted) > max(normal)


def test_scores_are_finite_and_maps_have_the_graphs_shape(detector: Detector) -> None:
    for found in detections(detector, FRESH):
        assert np.isfinite(found.score)
        assert 0 <= found.confidence <= 1
        assert found.anomaly_map.shape == (HEIGHT, WIDTH)
        assert found.anomaly_map.dtype == np.float32
        assert np.isfinite(found.anomaly_map).all()
        assert found.is_anomalous == (found.score >= found.threshold)


def test_the_map_is_highest_where_the_defect_is(detector: Detector) -> None:
    for seed, image in zip(range(3_000, 3_003), FRESH[6:9], strict=True):
        (found,) = detections(detector, [image])
        y, x = np.unravel_index(found.anomaly_map.argmax(), found.anomaly_map.shape)
        where = draw(seed, "stain").defects["stain"]
        height, width = where.shape
        rows, columns = np.nonzero(where)
        assert rows.min() - 8 <= y * height / HEIGHT <= rows.max() + 8
        assert columns.min() - 8 <= x * width / WIDTH <= columns.max() + 8


def test_the_order_of_images_does_not_matter(detector: Detector) -> None:
    straight = [found.score for found in detections(detector, FRESH)]
    turned = [found.score for found in detections(detector, FRESH[::-1])]

    assert straight == turned[::-1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_bundle_that_is_loaded_again_gives_the_same_answers(
    kind: str, bundles: dict[str, Path]
) -> None:
    first, second = (Detector.load(read_bundle(bundles[kind]), threads=1) for _ in range(2))

    for a, b in zip(detections(first, FRESH), detections(second, FRESH), strict=True):
        assert (a.score, a.confidence, a.is_anomalous) == (b.score, b.confidence, b.is_anomalous)
        assert (a.anomaly_map == b.anomaly_map).all()


@pytest.fixture(scope="module")
def trained_once(
    backbones: dict[str, Path | str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    """Return the checksums of a bundle by its backbone, each trained once."""

    @cache
    def trained_checksums(backbone: str) -> str:
        folder = tmp_path_factory.mktemp(backbone) / "bundle"
        return checksums(training_images(), folder, options(backbones[backbone]))

    return trained_checksums


@pytest.mark.parametrize(
    "backbone", ["tiny", "scattering", pytest.param("joined", marks=pytest.mark.slow)]
)
def test_the_same_images_in_any_order_give_the_same_bundle_bit_for_bit(
    backbone: str,
    trained_once: Callable[[str], str],
    backbones: dict[str, Path | str],
    tmp_path: Path,
) -> None:
    turned = training_images()[::-1]

    second = checksums(turned, tmp_path / "second", options(backbones[backbone]))

    assert second == trained_once(backbone)


def test_another_seed_gives_another_bundle(
    trained_once: Callable[[str], str], backbones: dict[str, Path | str], tmp_path: Path
) -> None:
    seeded = replace(options(backbones["tiny"]), seed=1)

    reseeded = checksums(training_images(), tmp_path / "reseeded", seeded)

    assert reseeded != trained_once("tiny")


@pytest.mark.parametrize(
    ("name", "scorers"),
    [
        ("tiny", SCORERS),
        pytest.param("scattering", SCORERS, marks=pytest.mark.slow),
        ("joined", SCORERS),
        ("tiny", (*SCORERS, CHANNEL_SUM)),
    ],
    ids=["tiny", "scattering", "joined", "another scorer"],
)
def test_numpy_and_the_graph_agree(
    name: str, scorers: Sequence[Scorer], backbones: dict[str, Path | str]
) -> None:
    backbone = load_backbone(backbones[name])
    embedder = Embedder(backbone, width=WIDTH, height=HEIGHT, threads=1)
    parts, _ = fitted_parts(backbone, embedder, scorers)
    graph = detector_graph(parts, width=WIDTH, height=HEIGHT)
    onnx.checker.check_model(graph, full_check=True)
    session = open_session(graph.SerializeToString(), threads=1)
    names = [output.name for output in session.get_outputs()]
    rows = upsampling_matrix(embedder.grid[0], HEIGHT)
    columns = upsampling_matrix(embedder.grid[1], WIDTH).T

    for image in FRESH:
        answers = session.run(names, {"pixels": pixels(image)[np.newaxis]})

        answer = dict(zip(names, answers, strict=True))
        embeddings = embedder.embed(pixels(image))
        score, calibration = fused_score(parts, embeddings, embedder.grid), parts.calibration
        probability = 1 / (1 + np.exp(-calibration.slope * (score - calibration.midpoint)))
        verdict = score >= calibration.threshold
        assert answer["score"] == pytest.approx(score, abs=2e-3)  # large parts make a small sum
        assert answer["is_anomalous"] == verdict
        confidence = probability if verdict else 1 - probability
        assert answer["confidence"] == pytest.approx(confidence, abs=1e-3)
        fused = parts.map_fusion.fuse(all_patch_scores(parts, embeddings, embedder.grid))
        anomaly_map = rows @ fused.reshape(embedder.grid) @ columns
        rounding = 1e-4 * np.abs(anomaly_map).max()
        np.testing.assert_allclose(answer["anomaly_map"], anomaly_map, rtol=0, atol=rounding)
        assert parts.reference is not None
        offsets = (embeddings.mean(axis=0) - parts.reference.mean) / parts.reference.deviation
        distance = np.sqrt(np.square(offsets).mean())
        assert answer["embedding_distance"] == pytest.approx(distance, rel=1e-3)
        assert parts.head is not None
        coarse = parts.head.logits(embeddings).T.reshape(-1, *embedder.grid)
        odds = np.exp(refined(coarse, pixels(image)))
        np.testing.assert_allclose(
            answer["class_probabilities"], odds / odds.sum(axis=0), atol=1e-4
        )


def pixels(image: LabeledImage) -> NDArray[np.uint8]:
    return resize(decode(image.read(), limits=LIMITS).pixels, width=WIDTH, height=HEIGHT)


def fitted_parts(
    backbone: Backbone, embedder: Embedder, scorers: Sequence[Scorer]
) -> tuple[DetectorParts, ScoreTable]:
    """Fit every scorer to a few images, and use them all; draw a segmentation head."""
    images = normal_images(4) + anomalous_images(3, "stain")
    datasets = validate_datasets(images, limits=LIMITS, mixed_sizes=False, progress=lambda _: None)
    validated = training_set(datasets.training, mixed_sizes=False)
    projections = bank_projections(
        embedder.channels, seed=0, alternatives=True, networks=embedder.networks
    )
    features = collect_features(
        validated,
        embedder,
        projections,
        fold_of=np.arange(7) % 4,
        limits=LIMITS,
        room=7,
        seed=0,
        progress=lambda _: None,
    )
    result = cross_validate(features, seed=0, threads=1, progress=lambda _: None, scorers=scorers)
    table = score_table(result, features.grid, size=(WIDTH, HEIGHT))
    candidate = Candidate(name="all", shares=dict.fromkeys(table.scores, 1.0))
    normal = ~table.anomalous
    standards = {key: standard(table.unseen(key, None)[normal]) for key in table.scores}
    parts = DetectorParts(
        backbone=backbone,
        scorers=fit_scorers(features, (), seed=0, scorers=scorers),
        scales=table.scales,
        fusion=fusion(candidate.shares, standards, total=1),
        map_fusion=map_fusion(candidate, table),
        calibration=Calibration(threshold=2.0, slope=1.0, midpoint=2.0, notes=()),
        head=random_head(embedder.width, scale=float(features.embedded_images[0].embeddings.std())),
        reference=embedding_reference(np.stack([embedding for _, embedding in features.looks])),
    )
    return parts, table


def random_head(width: int, *, scale: float) -> PatchClassifier:
    generator = np.random.default_rng(3)
    first = generator.standard_normal((width, HIDDEN), dtype=np.float32)
    second = generator.standard_normal((HIDDEN, 3), dtype=np.float32)
    return PatchClassifier(
        hidden_weights=first / np.float32(scale * width**0.5),
        hidden_bias=first[0],
        weights=second / np.float32(HIDDEN**0.5),
        bias=second[0],
    )


def all_patch_scores(
    parts: DetectorParts, embeddings: NDArray[np.float32], grid: tuple[int, int]
) -> dict[ScoreKey, NDArray[np.float64]]:
    weights, scores = border_weights(grid), {}
    for scorer, fitted in parts.scorers.items():
        if isinstance(fitted, PatchScorer):
            rows = fitted.patch_scores(embeddings).astype(np.float64)
            scores[ScoreKey(scorer)] = rows * weights if scorer.positional else rows
            if scorer.positional:
                by_position = rows * weights / parts.scales[scorer]
                scores[ScoreKey(scorer, by_position=True)] = by_position
    return scores


def fused_score(
    parts: DetectorParts, embeddings: NDArray[np.float32], grid: tuple[int, int]
) -> float:
    pooled = pooled_embedding(embeddings)[np.newaxis]
    scores = {
        key: np.array([image_score(rows.astype(np.float32))])
        for key, rows in all_patch_scores(parts, embeddings, grid).items()
    }
    for scorer, fitted in parts.scorers.items():
        if isinstance(fitted, ImageScorer):
            scores[ScoreKey(scorer)] = fitted.image_scores(pooled)
    return float(parts.fusion.fuse(scores)[0])


def test_a_scorer_of_the_registry_takes_part_in_the_selection(
    backbones: dict[str, Path | str],
) -> None:
    backbone = load_backbone(backbones["tiny"])
    embedder = Embedder(backbone, width=WIDTH, height=HEIGHT, threads=1)
    _, table = fitted_parts(backbone, embedder, (*SCORERS, CHANNEL_SUM))

    (average,) = candidates_for([table], np.ones(7, dtype=np.bool_))

    shares = {key.scorer: share for key, share in average.shares.items()}
    assert shares[CHANNEL_SUM] == shares[SUBSPACE] > 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_description_names_the_threshold_of_the_graph(
    kind: str, bundles: dict[str, Path]
) -> None:
    model = onnx.load(bundles[kind] / "model.onnx")

    (default,) = (each for each in model.graph.initializer if each.name == "threshold")
    threshold = Detector.load(read_bundle(bundles[kind]), threads=1).info.threshold
    assert float(numpy_helper.to_array(default)) == threshold


def test_constants_are_finite_and_the_inputs_are_pixels_and_threshold(
    bundles: dict[str, Path],
) -> None:
    model = onnx.load(bundles["segmenting"] / "model.onnx")

    constants = [numpy_helper.to_array(constant) for constant in model.graph.initializer]
    assert all(np.isfinite(values).all() for values in constants if values.dtype.kind == "f")
    assert {entry.name for entry in model.graph.input} == {"pixels", "threshold"}


def test_the_backbone_is_the_one_that_was_given(
    backbones: dict[str, Path | str], bundles: dict[str, Path]
) -> None:
    backbone: Backbone = load_backbone(backbones["tiny"])

    history = Detector.load(read_bundle(bundles["segmenting"]), threads=1).info.history

    assert history["backbone"] == {"name": "tiny", "sha256": backbone.sha256}
