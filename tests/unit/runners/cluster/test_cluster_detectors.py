"""The server's end of hosting on a cluster, with a broker whose actors need no Ray."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from blemish.domain.entities import InferenceUnits
from blemish.engine.bundle import read_bundle
from blemish.engine.errors import BundleError
from blemish.engine.images.decode import ImageError
from blemish.engine.runtime import Detector
from blemish.runners.cluster.broker_process import BrokerProcess
from blemish.runners.cluster.cluster_detectors import ClusterDetector, ClusterDetectors
from blemish.runners.cluster.unavailable import ClusterUnavailableError
from blemish.service.models.bundles import Bundles
from blemish.storage.errors import StoreUnavailableError, is_passing
from tests.products import LIMITS, draw, png
from tests.unit.runners.waiting import eventually
from tests.unit.storage.sealing import new_encryption, new_keyring

IMAGE = png(draw(1).pixels)
BUNDLE = "7-1"
ONE = InferenceUnits(minimum=1, maximum=None)
PATIENCE_S = 60.0

BROKER = """
import asyncio
from blemish.runners.cluster.hosting_broker import HostingBroker, ServerLink
link = ServerLink()
from blemish.runners.cluster.node_hosting import NodeDetector

class Actor:
    async def load(self, files):
        self.node = NodeDetector(files, {"threads": 1})

    async def detect(self, document, data):
        return self.node.detect(data, document["limits"], document["mixed_sizes"])

    async def check(self):
        pass

    def end(self):
        pass

asyncio.run(HostingBroker(link, start=Actor, store=dict).run())
"""

AWAY = """
from blemish.runners.cluster.hosting_broker import ServerLink
ServerLink().send("away", {"reason": "The head does not answer."})
"""

LOADING = "self.node = "
NO_ROOM = BROKER.replace(LOADING, f"await asyncio.sleep(600); {LOADING}")
NO_GPU = "from blemish.engine.errors import BundleError; raise BundleError('no GPU'); "
FAILING = BROKER.replace(LOADING, f"{NO_GPU}{LOADING}")

FULL_AT_FIRST = BROKER.replace("store=dict", "store=store").replace(
    "asyncio.run",
    """
from pathlib import Path
def store(files):
    if (full := Path("FULL")).exists():
        full.unlink()
        raise RuntimeError("the object store is full")
    return dict(files)
asyncio.run""",
)
LOSING_AT_FIRST = BROKER.replace(
    "    async def load",
    """
    def __init__(self):
        Actor.count = getattr(Actor, "count", 0) + 1
        if Actor.count == 1:
            raise RuntimeError("the node was lost")

    async def load""",
)
FAILING_SECOND = BROKER.replace("store=dict", "store=store").replace(
    "asyncio.run",
    """
stored = []
def store(files):
    stored.append(files)
    return dict.fromkeys(files, b"") if len(stored) == 2 else dict(files)
asyncio.run""",
)


@pytest.fixture
def bundles(bundle: Path, tmp_path: Path) -> Bundles:
    (tmp_path / "bundles").mkdir()
    (tmp_path / "staging").mkdir()
    bundles = Bundles(
        tmp_path / "bundles",
        staging=tmp_path / "staging",
        encryption=new_encryption(new_keyring(tmp_path)),
    )
    bundles.add(BUNDLE, read_bundle(bundle), kms_key_id=None)
    return bundles


@contextmanager
def cluster(
    bundles: Bundles, program: str = BROKER, *, load_patience_s: float = PATIENCE_S
) -> Iterator[ClusterDetectors]:
    detectors = ClusterDetectors(
        bundles,
        command=(sys.executable, "-c", program),
        silence_s=PATIENCE_S,
        load_patience_s=load_patience_s,
    )
    detectors.start()
    try:
        yield detectors
    finally:
        detectors.stop()


def load(detectors: ClusterDetectors, units: InferenceUnits = ONE) -> ClusterDetector:
    return detectors.load(BUNDLE, units=units, make_room=lambda _: None)


def answers(detector: ClusterDetector) -> Callable[[], bool]:
    """Return what tries to have an image judged."""

    def attempt() -> bool:
        try:
            detector.detect(IMAGE, limits=LIMITS, mixed_sizes=False)
        except ClusterUnavailableError:
            return False
        return True

    return attempt


def test_a_broker_gives_the_results_of_this_process_and_is_started_again(
    bundles: Bundles, bundle: Path
) -> None:
    here = Detector.load(read_bundle(bundle), threads=1)
    with cluster(bundles) as detectors:
        detector = load(detectors)

        there = detector.detect(IMAGE, limits=LIMITS, mixed_sizes=False)

        expected = here.detect(IMAGE, limits=LIMITS, mixed_sizes=False)
        assert (there.score, there.confidence) == (expected.score, expected.confidence)
        assert (there.anomaly_map == expected.anomaly_map).all()
        with pytest.raises(ImageError):
            detector.detect(b"no image", limits=LIMITS, mixed_sizes=False)
        assert detectors.problem() is None

        assert detectors._process is not None
        os.kill(detectors._process._process.pid, signal.SIGKILL)
        eventually(lambda: detectors.problem() is not None)
        with pytest.raises(ClusterUnavailableError) as error:
            detector.detect(IMAGE, limits=LIMITS, mixed_sizes=False)
        assert is_passing(error.value)
        eventually(answers(detector), patience_s=PATIENCE_S)

        detector.change_units(InferenceUnits(minimum=3, maximum=None))
        eventually(lambda: detector.in_service(9) == 3, patience_s=PATIENCE_S)
        bundles.add("7-2", read_bundle(bundle), kms_key_id=None)
        exchanged = detectors.load("7-2", units=ONE, make_room=lambda _: None, instead_of=detector)
        assert exchanged is detector
        assert answers(detector)()
        detector.close()
        assert not answers(detector)()


def test_a_cluster_that_is_away_is_a_matter_of_a_later_attempt(bundles: Bundles) -> None:
    with cluster(bundles, AWAY) as detectors:
        with pytest.raises(ClusterUnavailableError, match="The head does not answer"):
            load(detectors)

        assert detectors.problem() == "The head does not answer."


@pytest.mark.parametrize(
    ("program", "patience_s", "reason"),
    [(NO_ROOM, 0.0, "perhaps no node has room"), (FAILING, PATIENCE_S, "no GPU")],
)
def test_units_that_cannot_be_started_fail_the_start_of_the_model(
    bundles: Bundles, program: str, patience_s: float, reason: str
) -> None:
    with cluster(bundles, program, load_patience_s=PATIENCE_S) as detectors:
        eventually(lambda: detectors.problem() is None, patience_s=PATIENCE_S)
        detectors._load_patience_s = patience_s

        with pytest.raises(BundleError, match=reason):
            load(detectors)

        assert detectors.problem() is None


def test_a_bundle_that_cannot_be_stored_is_sent_again(bundles: Bundles, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.touch()
    with cluster(bundles, FULL_AT_FIRST.replace("FULL", str(full))) as detectors:
        eventually(lambda: detectors.problem() is None, patience_s=PATIENCE_S)

        assert answers(load(detectors))()

    assert not full.exists()


def test_a_lost_actor_fails_no_start(bundles: Bundles) -> None:
    with cluster(bundles, LOSING_AT_FIRST) as detectors:
        eventually(lambda: detectors.problem() is None, patience_s=PATIENCE_S)

        assert answers(load(detectors))()


def test_an_update_that_fails_leaves_the_model_that_answers(bundles: Bundles, bundle: Path) -> None:
    bundles.add("7-2", read_bundle(bundle), kms_key_id=None)
    with cluster(bundles, FAILING_SECOND) as detectors:
        eventually(lambda: detectors.problem() is None, patience_s=PATIENCE_S)
        detector = load(detectors)
        bundles.remove(BUNDLE)  # as an update does

        for name in ("7-2", "missing"):
            with pytest.raises(BundleError):
                detectors.load(
                    name,
                    units=InferenceUnits(minimum=2, maximum=None),
                    make_room=lambda _: None,
                    instead_of=detector,
                )
            eventually(lambda: detector.in_service(9) == 1, patience_s=PATIENCE_S)
            assert answers(detector)()


def test_a_store_that_is_away_for_now_is_a_matter_of_a_later_attempt(
    bundles: Bundles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_: str) -> NoReturn:
        raise StoreUnavailableError("The store does not answer.")

    gate = tmp_path / "gate"
    late = f"""
import pathlib, time
while not pathlib.Path({str(gate)!r}).exists():
    time.sleep(0.01)
{BROKER}"""
    with cluster(bundles, late) as detectors, ThreadPoolExecutor(1) as pool:
        loading = pool.submit(load, detectors)
        eventually(lambda: detectors._models)
        monkeypatch.setattr(bundles, "read", read)
        gate.touch()

        with pytest.raises(StoreUnavailableError):
            loading.result(PATIENCE_S)


def test_a_broker_that_says_nothing_is_ended() -> None:
    process = BrokerProcess((sys.executable, "-c", "import time; time.sleep(600)"), silence_s=0)

    process.end_if_silent()

    assert list(process.messages()) == []
    assert process.close() == "the process was ended by SIGKILL"
    with pytest.raises(ClusterUnavailableError):
        process.ask({}, IMAGE, patience_s=PATIENCE_S)
