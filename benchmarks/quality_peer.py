"""One trial of an anomalib model, for `benchmarks.quality`, run by the Python of `.venv-peers`.

    PYTHON -m benchmarks.quality_peer WEIGHTS.npz

Reads one JSON object from the input (`model`: patchcore or padim, `train`, `test`: files, `maps`:
a file to write or null, `seed`, `threads`) and answers with one: seconds and peak memory of the
training, and the raw score of each test image, never clamped or normalised.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.speed_peer import BATCH, CORESET_SHARE, SIDE, resnet18

torch: Any = import_module("torch")

PADIM_FEATURES = 100  # anomalib's default for ResNet-18


STEPS = {"efficientad": 70_000, "dinomaly": 5_000}
"""Steps of training, as in the papers' code and in anomalib."""

BATCHES = {"efficientad": 1, "dinomaly": 8}


def new_model(name: str, network: Any) -> Any:
    """Return an untrained model, PatchCore and PaDiM over a backbone of given weights."""
    models = import_module("anomalib.models")
    if name in STEPS:
        kind = {"efficientad": models.EfficientAd, "dinomaly": models.Dinomaly}[name]
        return kind(pre_processor=kind.configure_pre_processor((SIDE, SIDE)), visualizer=False)
    kind = {"patchcore": models.Patchcore, "padim": models.Padim}[name]
    options: dict[str, Any] = dict.fromkeys(("post_processor", "evaluator", "visualizer"), False)
    if name == "patchcore":
        options |= {"layers": ["layer2", "layer3"], "coreset_sampling_ratio": CORESET_SHARE}
    else:
        options |= {"n_features": PADIM_FEATURES}
    pre_processor = kind.configure_pre_processor((SIDE, SIDE))
    return kind(backbone=network, pre_processor=pre_processor, **options)


def fit(model: Any, network: Any, files: list[str]) -> None:
    """Learn from images, without Lightning's trainer, which favours the model in time."""
    model.model.train()
    network.eval()
    with torch.inference_mode():
        for start in range(0, len(files), BATCH):
            small = [read(model, file) for file in files[start : start + BATCH]]
            model.model(torch.stack(small))
        model.fit()
    model.eval()


def fit_by_steps(model: Any, files: list[str], *, steps: int, batch: int) -> None:
    """Train a model that learns in steps, by anomalib's own loop."""
    with TemporaryDirectory() as folder:
        normal = Path(folder, "good")
        normal.mkdir()
        for number, file in enumerate(files):
            (normal / f"{number:05}{Path(file).suffix}").symlink_to(Path(file).absolute())
        images = import_module("anomalib.data").Folder(
            name="images",
            root=folder,
            normal_dir="good",
            train_batch_size=batch,
            eval_batch_size=batch,
            num_workers=0,
            test_split_mode="synthetic",
            val_split_mode="from_test",
        )
        import_module("anomalib.engine").Engine(
            max_steps=steps,
            accelerator="cpu",
            devices=1,
            logger=False,
            default_root_dir=folder,
        ).fit(model, datamodule=images)
    model.eval()


def read(model: Any, file: str) -> Any:
    """Return an image as the model takes it: (3, H, W)."""
    image = import_module("anomalib.data.utils").read_image(file, as_tensor=True)
    return model.pre_processor.transform(image)


def main() -> None:
    """Answer one question."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    with np.load(sys.argv[1]) as file:
        arrays = [file[f"arr_{i}"] for i in range(len(file.files))]
    asked = json.load(sys.stdin)
    torch.set_num_threads(asked["threads"])
    import_module("lightning").seed_everything(asked["seed"], verbose=False)
    network = resnet18(list(zip(arrays[::2], arrays[1::2], strict=True)))
    model = new_model(asked["model"], network)
    began = time.perf_counter()
    name = asked["model"]
    if name in STEPS:
        fit_by_steps(model, asked["train"], steps=STEPS[name], batch=BATCHES[name])
    else:
        fit(model, network, asked["train"])
    trained_s = time.perf_counter() - began
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # its parent has less

    scores, maps = [], []
    with torch.inference_mode():
        for file in asked["test"]:
            found = model.model(read(model, file)[None])
            scores.append(float(found.pred_score))
            maps.append(found.anomaly_map.numpy().reshape(SIDE, SIDE).astype(np.float32))
    if asked["maps"]:
        np.savez(asked["maps"], *maps)
    answer = {"training_s": trained_s, "peak_mib": peak_mib, "scores": scores}
    print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
