"""How quickly things are sealed and opened, and what that adds to the start of a model.

    python -m benchmarks.sealing [--results FILE.json]

Everything is in memory or in the page cache; of each time the best of several is taken.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.surroundings import SHARED
from blemish.engine.bundle import Bundle, write_bundle
from blemish.engine.runtime import Detector
from blemish.engine.training.train import train
from blemish.service.models.bundles import Bundles
from blemish.storage.encryption.encryption import Encryption
from blemish.storage.encryption.keyring import DEFAULT, Keyring, new_key
from tests.products import anomalous_images, normal_images, options

ROOT = Path(__file__).parent.parent
BYTES = 64_000_000
CONTEXT = {"what": "a benchmark"}


def best_s(work: Callable[[], object], *, rounds: int) -> float:
    """Return the shortest time that the work takes, in seconds."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def measure(folder: Path, bundle: Bundle) -> dict[str, float]:
    """Measure over a keyring in an empty folder."""
    for name in ("keyring", "bundles", "staging"):
        (folder / name).mkdir()
    keyring = Keyring(folder / "keyring", staging=folder / "staging")
    keyring.settle(new_key(DEFAULT, random_bytes=secrets.token_bytes, now=datetime.now(UTC)))
    encryption = Encryption(keyring, random_bytes=secrets.token_bytes)
    began = time.perf_counter()
    small = encryption.seal_bytes(b"a secret", context=CONTEXT)
    first_s = time.perf_counter() - began

    data = os.urandom(BYTES)
    sealed = encryption.seal_bytes(data, context=CONTEXT)
    text = encryption.seal_text("a secret", context=CONTEXT)
    bundles = Bundles(folder / "bundles", staging=folder / "staging", encryption=encryption)
    bundles.add("sealed", bundle, kms_key_id=None)
    (folder / "bundles" / "plain").mkdir()
    write_bundle(bundle, folder / "bundles" / "plain")

    def load(name: str) -> float:
        return best_s(lambda: Detector.load(bundles.read(name), threads=1), rounds=5)

    seal_s = best_s(lambda: encryption.seal_bytes(data, context=CONTEXT), rounds=3)
    open_s = best_s(lambda: encryption.open_bytes(sealed, context=CONTEXT, name="it"), rounds=3)
    small_s = best_s(lambda: encryption.open_bytes(small, context=CONTEXT, name="it"), rounds=50)
    text_s = best_s(lambda: encryption.open_text(text, context=CONTEXT, name="it"), rounds=50)
    return {
        "first use, with the import, s": first_s,
        "seal, MB/s": BYTES / 1e6 / seal_s,
        "open, MB/s": BYTES / 1e6 / open_s,
        "open a small file, ms": small_s * 1e3,
        "open a short text, ms": text_s * 1e3,
        "bundle, MB": len(bundle.model) / 1e6,
        "read a plain bundle, ms": best_s(lambda: bundles.read("plain"), rounds=5) * 1e3,
        "read a sealed bundle, ms": best_s(lambda: bundles.read("sealed"), rounds=5) * 1e3,
        "load a plain bundle, ms": load("plain") * 1e3,
        "load a sealed bundle, ms": load("sealed") * 1e3,
    }


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    pretrained = SHARED / "weights" / "resnet18-layer1-3.onnx"
    parser.add_argument("--backbone", type=Path, default=pretrained)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results/sealing.json")
    arguments = parser.parse_args()

    images = normal_images(8) + anomalous_images(3, "stain")
    trained = train(images, options=options(arguments.backbone), progress=lambda _: None)
    with TemporaryDirectory() as folder:
        found = measure(Path(folder), trained.bundle)
    for name, value in found.items():
        print(f"{name} | {value:.2f}")
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
