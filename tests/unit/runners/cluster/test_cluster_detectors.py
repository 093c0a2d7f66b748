"""The server's end of hosting on a cluster, with a broker whose actors need no Ray."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import NoReturn

import pytest
from structlog.testing import capture_logs

from blemish.domain.entities import InferenceUnits
from blemish.engine.bundle import read_bundle
from blemish.engine.errors import BundleError
from blemish.engine.images.decode import ImageError
from blemish.engine.runtime import Detector
from blemish.runners.cluster import broker_process
from blemish.runners.cluster.broker_process import BrokerProcess
from blemish.runners.cluster.cluster_detector import ClusterDetector
from blemish.runners.cluster.cluster_detectors import ClusterDetectors
from blemish.runners.cluster.cluster_model import ClusterModel
from blemish.runners.cluster.unavailable import ClusterUnavailableError
from blemish.runners.cluster.unit_room import room_text
from blemish.runners.cluster.unit_scaling import UnitScaling
from blemish.service.models.bundles import Bundles
from blemish.service.models.hosting import ModelStoppedError
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

HANGING = """
import time
from blemish.runners.cluster.hosting_broker import ServerLink
link = ServerLink()
time.sleep(600)
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
SLOW_SECOND = BROKER.replace(
    LOADING,
    f"""
        if hasattr(self, "node"):
            open("SECOND", "w").close()
            await asyncio.sleep(600)
        {LOADING}""",
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


def test_an_exchange_that_a_broker_is_lost_with_leaves_the_new_bundle_to_the_next(
    bundles: Bundles, bundle: Path, tmp_path: Path
) -> None:
    second = tmp_path / "second"
    program = SLOW_SECOND.replace("SECOND", str(second))
    bundles.add("7-2", read_bundle(bundle), kms_key_id=None)
    with cluster(bundles, program) as detectors, ThreadPoolExecutor(1) as pool:
        detector = load(detectors)
        bundles.remove(BUNDLE)  # as an update does
        loading = pool.submit(
            detectors.load, "7-2", units=ONE, make_room=lambda _: None, instead_of=detector
        )
        eventually(second.exists)
        assert (detector.in_service(9), detectors.problem()) == (1, None)  # the old one judges

        assert detectors._process is not None
        detectors._process.kill()
        with pytest.raises(ClusterUnavailableError):
            loading.result(PATIENCE_S)

        eventually(answers(detector), patience_s=PATIENCE_S)
        assert detector.model.name == "7-2"


def test_a_model_that_is_only_being_started_makes_no_server_unready(bundles: Bundles) -> None:
    with cluster(bundles, NO_ROOM) as detectors, ThreadPoolExecutor(1) as pool:
        eventually(lambda: detectors.problem() is None, patience_s=PATIENCE_S)
        loading = pool.submit(load, detectors)
        eventually(lambda: any(model.broker for model in detectors._models.values()))

        assert detectors.problem() is None

        (model,) = detectors._models.values()
        model.has_started = True
        assert detectors.problem() == (
            "1 of 1 models have no inference unit yet; perhaps no node has room."
        )
        detectors.unload(model)
        with pytest.raises(ClusterUnavailableError, match="has been stopped"):
            loading.result(PATIENCE_S)


def test_a_stop_ends_a_start_while_the_broker_connects(bundles: Bundles) -> None:
    with cluster(bundles, HANGING) as detectors, ThreadPoolExecutor(1) as pool:
        loading = pool.submit(load, detectors)
        eventually(lambda: detectors._models)
        (model,) = detectors._models.values()

        detectors.unload(model)

        with pytest.raises(ClusterUnavailableError, match="has been stopped"):
            loading.result(PATIENCE_S / 2)


def test_a_start_that_waits_for_room_says_so_until_it_is_stopped(bundles: Bundles) -> None:
    program = NO_ROOM.replace("store=dict", "store=dict, room=lambda: 'no CPU is free'")
    reasons = []

    def report(reason: str) -> None:
        reasons.append(reason)
        if "no CPU" in reason:
            raise ModelStoppedError

    with cluster(bundles, program) as detectors:
        with pytest.raises(ModelStoppedError):
            detectors.load(BUNDLE, units=ONE, make_room=lambda _: None, report=report)

        assert detectors._models == {}
    assert reasons[-1] == (
        "it waits for the Ray cluster. 0 of 1 inference units are ready; no CPU is free."
    )


def test_the_room_of_a_unit_is_what_it_takes_and_what_is_free() -> None:
    total = {"CPU": 2.0, "GPU": 1.0, "memory": 1e9}

    assert room_text({"CPU": 1.0, "GPU": 0.0}, {"memory": 1e9}, total) == (
        "a unit takes 1 CPU of a node, and 0 of 2 CPUs are free"
    )
    assert room_text({"CPU": 2.0, "GPU": 0.25}, {"CPU": 1.0, "GPU": 0.5}, total) == (
        "a unit takes 2 CPUs and 0.25 GPUs of a node, and 1 of 2 CPUs and 0.5 of 1 GPUs are free"
    )


def test_a_broker_that_connects_for_long_is_no_lack_of_room(bundles: Bundles) -> None:
    with (
        cluster(bundles, HANGING, load_patience_s=0.0) as detectors,
        pytest.raises(ClusterUnavailableError, match="connects to the Ray cluster"),
    ):
        load(detectors)


def test_a_broker_that_does_not_connect_is_replaced(
    bundles: Bundles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_process, "CONNECT_PATIENCE_S", 0.0)
    with cluster(bundles, HANGING) as detectors:
        eventually(lambda: "did not connect within 0 s" in str(detectors.problem()))


def test_a_hung_broker_is_replaced_while_the_store_does_not_answer(
    bundles: Bundles, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_asked, may_answer = Event(), Event()

    def read(_: str) -> NoReturn:
        is_asked.set()
        may_answer.wait(2 * PATIENCE_S)
        raise StoreUnavailableError("The store does not answer.")

    with cluster(bundles) as detectors:
        detector = load(detectors)
        first = detectors._process
        assert first is not None
        monkeypatch.setattr(bundles, "read", read)
        with detector.model.lock:
            detector.model.sent_version = 0  # as if it had been refused
        assert is_asked.wait(PATIENCE_S)
        try:
            os.kill(first._process.pid, signal.SIGSTOP)
            first._silence_s = 0.0

            eventually(lambda: detectors._process not in {None, first}, patience_s=PATIENCE_S)
        finally:
            may_answer.set()


def test_a_bundle_that_cannot_be_read_is_tried_again_with_pauses(
    bundles: Bundles, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []

    def read(name: str) -> NoReturn:
        reads.append(name)
        raise StoreUnavailableError("The store does not answer.")

    with cluster(bundles) as detectors, capture_logs() as logged:
        detector = load(detectors)
        monkeypatch.setattr(bundles, "read", read)
        assert detectors._process is not None
        detectors._process.kill()
        eventually(lambda: len(reads) == 2, patience_s=PATIENCE_S)

        lines = [line for line in logged if line["event"].startswith("a model cannot be handed")]
        assert [line["again_in_s"] for line in lines][:1] == [1]
        assert lines[0]["reason"] == "The store does not answer."
        assert "The store does not answer." in str(detectors.problem())
        with pytest.raises(ClusterUnavailableError, match="The store does not answer"):
            detector.detect(IMAGE, limits=LIMITS, mixed_sizes=False)
        detectors.unload(detector.model)
        with pytest.raises(ClusterUnavailableError, match="has been stopped"):
            detector.detect(IMAGE, limits=LIMITS, mixed_sizes=False)


def test_an_exchange_of_the_bundle_alone_leaves_the_units_that_the_queue_asked_for() -> None:
    bounds = InferenceUnits(minimum=1, maximum=4)
    model = ClusterModel(1, BUNDLE, UnitScaling(bounds, clock=lambda: 0.0))
    model.scaling._set(3)

    model.exchange("7-2", bounds)
    assert model.scaling.units == 3

    model.exchange("7-3", InferenceUnits(minimum=2, maximum=4))
    assert model.scaling.units == 2


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


def test_a_broker_gets_no_keys_of_this_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "opens AWS KMS")
    program = (
        "import os; from blemish.runners.cluster.hosting_broker import ServerLink; "
        "ServerLink().send('away', {'reason': os.getenv('AWS_SECRET_ACCESS_KEY')})"
    )
    process = BrokerProcess((sys.executable, "-c", program), silence_s=PATIENCE_S)

    (message,) = process.messages()

    assert message.document["reason"] is None
    assert process.close() == "the process ended with exit status 0"


def test_a_broker_that_says_nothing_is_ended() -> None:
    process = BrokerProcess((sys.executable, "-c", "import time; time.sleep(600)"), silence_s=0)

    process.end_if_stuck(is_connected=True)

    assert list(process.messages()) == []
    assert process.close() == "the process said nothing for 0 s"
    with pytest.raises(ClusterUnavailableError):
        process.ask({}, IMAGE, patience_s=PATIENCE_S)
