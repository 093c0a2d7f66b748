from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

import pytest

from blemish.domain.entities import InferenceUnits, Model, ModelStatus
from blemish.engine.bundle import Bundle, read_bundle
from blemish.engine.images.decode import ImageError
from blemish.engine.runtime import Detection
from blemish.runners.detectors import HostedDetector, LocalDetector, LocalDetectors
from blemish.runners.model_hosting import ModelHosting
from blemish.runners.model_memory import model_bytes
from blemish.runners.request_queue import WAITING_PER_UNIT
from blemish.service.detection.detection import ModelBusyError
from blemish.service.models.bundles import Bundles
from blemish.service.models.hosting import WaitReport, no_report
from blemish.storage.errors import SealBrokenError, StoreUnavailableError
from tests.products import LIMITS, SIZE, draw, png
from tests.unit.runners.waiting import PATIENCE_S, eventually
from tests.unit.storage.sealing import new_encryption, new_keyring

IMAGE = png(draw(1).pixels)
BUNDLE = "7-1"
ONE = InferenceUnits(minimum=1, maximum=None)


class CountingBundles(Bundles):
    """Bundles in a folder or in a store that may be away; counts what is read."""

    reads = 0
    away = False

    def read(self, name: str) -> Bundle:
        self.reads += 1
        if self.away:
            raise StoreUnavailableError("The store cannot be reached.")
        return super().read(name)


class GatedDetectors(LocalDetectors):
    """Loads detectors when a test lets it."""

    def __init__(self, bundles: Bundles, *, threads: int) -> None:
        super().__init__(bundles, threads=threads)
        self.may_load = Event()
        self.may_load.set()
        #: how often a load that waits says so
        self.report_s = PATIENCE_S
        #: what each load was to take the place of
        self.former: list[HostedDetector | None] = []

    def load(
        self,
        name: str,
        *,
        units: InferenceUnits,
        make_room: Callable[[int], None],
        instead_of: HostedDetector | None = None,
        report: WaitReport = no_report,
    ) -> LocalDetector:
        self.former.append(instead_of)
        for _ in range(1_000):
            if self.may_load.wait(self.report_s):
                break
            report("it waits for a node.")
        return super().load(name, units=units, make_room=make_room)


def row(
    model_id: int = 7,
    *,
    bundle: str = BUNDLE,
    attempt: int = 1,
    status: ModelStatus = ModelStatus.HOSTED,
    interruptions: int = 0,
    units: InferenceUnits = ONE,
) -> Model:
    return Model(
        id=model_id,
        project="circuits",
        version=model_id,
        description=None,
        status=status,
        status_message="",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        output_bucket="images",
        output_prefix="",
        kms_key_id=None,
        entries="",
        performance=None,
        evaluation_manifest=None,
        evaluation_result=None,
        evaluation_ended_at=None,
        bundle=bundle,
        units=units,
        attempt=attempt,
        interruptions=interruptions,
    )


@pytest.fixture
def bundles(bundle: Path, tmp_path: Path) -> CountingBundles:
    (tmp_path / "bundles").mkdir()
    (tmp_path / "staging").mkdir()
    bundles = CountingBundles(
        tmp_path / "bundles",
        staging=tmp_path / "staging",
        encryption=new_encryption(new_keyring(tmp_path)),
    )
    bundles.add(BUNDLE, read_bundle(bundle), kms_key_id=None)
    return bundles


@pytest.fixture
def rows() -> dict[int, Model]:
    """The rows of the models that are to answer detections."""
    return {}


@pytest.fixture
def hosting(bundles: CountingBundles, rows: dict[int, Model]) -> ModelHosting:
    room = 2 * model_bytes(bundles.size_bytes(BUNDLE))
    return ModelHosting(
        bundles=bundles,
        detectors=LocalDetectors(bundles, threads=1),
        hosted_row=rows.get,
        memory_bytes=room,
    )


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in a thread, as that of a server does."""
    running = asyncio.new_event_loop()
    thread = Thread(target=running.run_forever)
    thread.start()
    yield running
    running.call_soon_threadsafe(running.stop)
    thread.join(PATIENCE_S)
    running.close()


SEVENTH = row()
INTERRUPTED = row(status=ModelStatus.SYSTEM_UPDATING, interruptions=1)
"""The server ended in its load, so only an attempt loads it."""


class Client:
    """Sends images to hosted models."""

    def __init__(self, hosting: ModelHosting, loop: asyncio.AbstractEventLoop) -> None:
        self._hosting = hosting
        self._loop = loop

    def begin(
        self, data: bytes = IMAGE, *, model: Model = SEVENTH, timeout_s: float = 0.05
    ) -> Future[Detection | None]:
        """Start a detection; return once it waits, has ended, or was refused."""
        started = Event()

        async def detect() -> Detection | None:
            self._loop.call_soon(started.set)  # runs when this waits for the first time
            return await self._hosting.detect(
                model, data, limits=LIMITS, mixed_sizes=False, timeout_s=timeout_s
            )

        future = asyncio.run_coroutine_threadsafe(detect(), self._loop)
        assert started.wait(PATIENCE_S)
        return future

    def detect(
        self, data: bytes = IMAGE, *, model: Model = SEVENTH, timeout_s: float = 0.05
    ) -> Detection | None:
        return self.begin(data, model=model, timeout_s=timeout_s).result(PATIENCE_S)


@pytest.fixture
def client(hosting: ModelHosting, loop: asyncio.AbstractEventLoop) -> Client:
    return Client(hosting, loop)


def test_a_loaded_model_judges_images(hosting: ModelHosting, client: Client) -> None:
    hosting.load(7, BUNDLE, units=ONE, attempt=1)

    normal = client.detect()
    anomalous = client.detect(png(draw(1, "stain").pixels))

    assert normal is not None
    assert anomalous is not None
    assert normal.stored_size == SIZE
    assert (normal.is_anomalous, anomalous.is_anomalous) == (False, True)


def test_another_model_is_not_there(hosting: ModelHosting, client: Client) -> None:
    hosting.load(7, BUNDLE, units=ONE, attempt=1)

    assert client.detect(model=row(8)) is None


def test_a_detection_waits_for_a_model_that_comes(hosting: ModelHosting, client: Client) -> None:
    answers = [client.begin(model=INTERRUPTED, timeout_s=PATIENCE_S) for _ in range(3)]

    hosting.load(6, BUNDLE, units=ONE, attempt=1)
    assert not any(answer.done() for answer in answers)
    hosting.load(7, BUNDLE, units=ONE, attempt=1)

    assert all(isinstance(answer.result(PATIENCE_S), Detection) for answer in answers)


def test_only_so_many_detections_wait_for_a_model_that_comes(
    hosting: ModelHosting, client: Client
) -> None:
    answers = [client.begin(model=INTERRUPTED, timeout_s=1) for _ in range(WAITING_PER_UNIT)]

    with pytest.raises(ModelBusyError) as caught:
        client.detect(model=INTERRUPTED, timeout_s=1)

    assert caught.value.wait_s == 1
    assert client.detect(model=row(8)) is None
    assert [answer.result(PATIENCE_S) for answer in answers] == [None] * WAITING_PER_UNIT
    assert hosting._waiters == {}
    assert client.detect() is None


def test_what_waits_for_a_model_that_is_stopped_is_judged_before(
    hosting: ModelHosting, client: Client
) -> None:
    hosting.load(7, BUNDLE, units=ONE, attempt=1)
    answers = [client.begin() for _ in range(5)]

    hosting.unload(7)

    assert all(isinstance(answer.result(PATIENCE_S), Detection) for answer in answers)


@pytest.mark.parametrize(("minimum", "maximum", "most"), [(1, None, 1), (2, None, 2), (1, 3, 3)])
def test_the_line_is_as_long_as_the_units_let_it_be(
    hosting: ModelHosting, minimum: int, maximum: int | None, most: int
) -> None:
    hosting.load(7, BUNDLE, units=InferenceUnits(minimum=minimum, maximum=maximum), attempt=1)

    assert hosting._hosted[7].queue.units == most


def test_an_unloaded_model_is_gone(hosting: ModelHosting, client: Client) -> None:
    hosting.load(7, BUNDLE, units=ONE, attempt=1)

    hosting.unload(7)
    hosting.unload(7)

    assert client.detect() is None


@pytest.mark.parametrize(("attempt", "there"), [(1, True), (2, False), (3, False)])
def test_an_attempt_unloads_what_no_later_one_loaded(
    hosting: ModelHosting, client: Client, attempt: int, *, there: bool
) -> None:
    hosting.load(7, BUNDLE, units=ONE, attempt=1)
    hosting.load(7, BUNDLE, units=ONE, attempt=2)

    hosting.unload(7, attempt=attempt)

    assert (client.detect() is not None) == there


def test_a_damaged_bundle_is_not_loaded(
    hosting: ModelHosting, client: Client, tmp_path: Path
) -> None:
    with (tmp_path / "bundles" / BUNDLE / "model.onnx.sealed").open("r+b") as file:
        file.seek(-100, os.SEEK_END)
        file.write(bytes(100))

    with pytest.raises(SealBrokenError, match="damaged"):
        hosting.load(7, BUNDLE, units=ONE, attempt=1)

    assert client.detect() is None


def test_a_image_that_cannot_be_judged_takes_no_unit_with_it(
    hosting: ModelHosting, client: Client
) -> None:
    hosting.load(7, BUNDLE, units=ONE, attempt=1)
    for _ in range(3):
        with pytest.raises(ImageError):
            client.detect(b"no image")

    assert client.detect() is not None


def test_a_model_gets_other_units_without_being_loaded_again(
    hosting: ModelHosting, client: Client, tmp_path: Path
) -> None:
    hosting.load(7, BUNDLE, units=ONE, attempt=1)
    shutil.rmtree(tmp_path / "bundles" / BUNDLE)
    waiting = [client.begin() for _ in range(5)]

    hosting.load(7, BUNDLE, units=InferenceUnits(minimum=3, maximum=None), attempt=2)

    assert hosting._hosted[7].queue.units == 3
    assert all(isinstance(answer.result(PATIENCE_S), Detection) for answer in waiting)
    assert client.detect() is not None


def test_a_model_that_was_stopped_is_loaded_anew(hosting: ModelHosting) -> None:
    hosting.load(7, BUNDLE, units=ONE, attempt=1)
    before = hosting._hosted[7].detector
    hosting.unload(7)

    hosting.load(7, BUNDLE, units=ONE, attempt=2)

    assert hosting._hosted[7].detector is not before


def test_a_hosted_model_is_loaded_once_for_all_images_that_come(
    hosting: ModelHosting, client: Client, rows: dict[int, Model], bundles: CountingBundles
) -> None:
    rows[7] = SEVENTH

    answers = [client.begin(timeout_s=PATIENCE_S) for _ in range(5)]

    assert all(isinstance(answer.result(PATIENCE_S), Detection) for answer in answers)
    assert bundles.reads == 1
    assert set(hosting.capacities()) == {7}


def test_the_least_recently_used_model_makes_room(
    hosting: ModelHosting, client: Client, rows: dict[int, Model]
) -> None:
    rows.update({number: row(number) for number in (7, 8, 9)})
    for number in (7, 8, 7):
        assert client.detect(model=rows[number], timeout_s=PATIENCE_S)

    assert client.detect(model=rows[9], timeout_s=PATIENCE_S)
    assert set(hosting.capacities()) == {7, 9}
    assert client.detect(model=rows[8], timeout_s=PATIENCE_S)
    assert set(hosting.capacities()) == {8, 9}
    assert hosting.fitting([BUNDLE] * 3) == 2


def test_a_model_that_is_stopped_while_it_is_loaded_does_not_stay(
    bundles: CountingBundles, loop: asyncio.AbstractEventLoop
) -> None:
    answers = [SEVENTH, None]
    hosting = ModelHosting(
        bundles=bundles,
        detectors=LocalDetectors(bundles, threads=1),
        hosted_row=lambda _: answers.pop(0),
        memory_bytes=0,
    )

    Client(hosting, loop).detect(timeout_s=PATIENCE_S)

    eventually(lambda: not answers and hosting.capacities() == {})


def test_a_load_fails_for_those_who_wait_while_the_store_is_away_and_heals(
    client: Client, rows: dict[int, Model], bundles: CountingBundles
) -> None:
    rows[7] = SEVENTH
    bundles.away = True
    with pytest.raises(StoreUnavailableError):
        client.detect(timeout_s=PATIENCE_S)

    bundles.away = False

    assert client.detect(timeout_s=PATIENCE_S)


def test_what_was_loaded_answers_until_the_row_is_hosted_with_another_bundle(
    hosting: ModelHosting,
    client: Client,
    rows: dict[int, Model],
    bundles: CountingBundles,
    bundle: Path,
) -> None:
    hosting.load(7, BUNDLE, units=ONE, attempt=1)
    bundles.add("7-2", read_bundle(bundle), kms_key_id=None)
    updating = row(bundle="7-2", attempt=2, status=ModelStatus.SYSTEM_UPDATING)
    rows[7] = row(bundle="7-2", attempt=2)

    assert client.detect(model=updating)
    assert hosting._hosted[7].bundle == BUNDLE
    assert client.detect(model=rows[7], timeout_s=PATIENCE_S)
    assert hosting._hosted[7].bundle == "7-2"
    bundles.remove(BUNDLE)
    assert client.detect(model=SEVENTH)  # its row was read before
    assert hosting._hosted[7].bundle == "7-2"


def test_a_bundle_that_was_replaced_before_it_was_read_is_no_error(
    bundles: CountingBundles, loop: asyncio.AbstractEventLoop
) -> None:
    answers = iter([row(bundle="7-0"), *[row(attempt=2)] * 3])
    hosting = ModelHosting(
        bundles=bundles,
        detectors=LocalDetectors(bundles, threads=1),
        hosted_row=lambda _: next(answers),
        memory_bytes=0,
    )

    assert Client(hosting, loop).detect(timeout_s=PATIENCE_S)


def test_what_the_rows_no_longer_ask_for_is_unloaded(hosting: ModelHosting) -> None:
    hosting.load(7, BUNDLE, units=ONE, attempt=1)
    hosting.load(8, BUNDLE, units=ONE, attempt=1)

    hosting.unload_outdated([row(7), row(8, bundle="8-2", attempt=2)])

    assert set(hosting.capacities()) == {7}


def test_what_an_image_has_loaded_anew_takes_the_older_one_over(
    bundles: CountingBundles, bundle: Path, rows: dict[int, Model], loop: asyncio.AbstractEventLoop
) -> None:
    detectors = GatedDetectors(bundles, threads=1)
    hosting = ModelHosting(
        bundles=bundles, detectors=detectors, hosted_row=rows.get, memory_bytes=0
    )
    hosting.load(7, BUNDLE, units=ONE, attempt=1)
    before = hosting._hosted[7].detector
    bundles.add("7-2", read_bundle(bundle), kms_key_id=None)
    rows[7] = row(bundle="7-2", attempt=2)
    detectors.may_load.clear()
    answer = Client(hosting, loop).begin(model=rows[7], timeout_s=PATIENCE_S)
    eventually(lambda: len(detectors.former) == 2)

    hosting.unload_outdated([rows[7]])

    assert hosting._hosted[7].detector is before is detectors.former[1]
    detectors.may_load.set()
    assert isinstance(answer.result(PATIENCE_S), Detection)
    assert hosting._hosted[7].bundle == "7-2"


def test_a_load_that_waits_for_a_node_ends_with_the_stop_of_its_model(
    bundles: CountingBundles, rows: dict[int, Model], loop: asyncio.AbstractEventLoop
) -> None:
    detectors = GatedDetectors(bundles, threads=1)
    detectors.may_load.clear()
    detectors.report_s = 0.01
    hosting = ModelHosting(
        bundles=bundles, detectors=detectors, hosted_row=rows.get, memory_bytes=0
    )
    rows[7] = row()
    answer = Client(hosting, loop).begin(model=rows[7], timeout_s=PATIENCE_S)
    eventually(lambda: detectors.former)

    del rows[7]

    assert answer.result(PATIENCE_S) is None
    assert hosting.capacities() == {}
    assert not hosting._demanded
