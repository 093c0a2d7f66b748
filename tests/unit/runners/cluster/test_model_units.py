from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from blemish.engine.errors import BundleError
from blemish.runners.cluster import model_units
from blemish.runners.cluster.model_units import (
    MOST_LOST_ACTORS,
    NOT_IN_TIME,
    ActorLostError,
    Answer,
    DetectionRequest,
    ModelUnits,
)

PATIENCE_S = 60.0


class Actor:
    """An actor of a cluster that the test is."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.has_ended = False

    async def load(self, bundle: str) -> None:
        self._cluster.fail_once("load")
        await self._cluster.has_room.wait()
        if bundle == "broken":
            raise BundleError(bundle)
        if bundle == "endless":
            await asyncio.Event().wait()
        self._bundle = bundle

    async def detect(self, _: Mapping[str, Any], data: bytes) -> Answer:
        self._cluster.fail_once("detect")
        self._cluster.judging += 1
        await self._cluster.may_answer.wait()
        if data in self._cluster.fatal or self._cluster.losses:
            self._cluster.losses = max(0, self._cluster.losses - 1)
            raise ActorLostError("the node was lost")
        return "detection", {"bundle": self._bundle}, [data]

    async def check(self) -> None:
        if self._cluster.losses:
            self._cluster.losses -= 1
            raise ActorLostError("the node was lost")

    def end(self) -> None:
        self.has_ended = True
        self._cluster.fail_once("end")


class Cluster:
    def __init__(self) -> None:
        self.actors: list[Actor] = []
        self.has_room, self.may_answer = asyncio.Event(), asyncio.Event()
        self.has_room.set()
        self.may_answer.set()
        #: calls that are to lose their actor
        self.losses = 0
        #: images that end every actor
        self.fatal = {b"fatal"}
        #: methods that are to raise something else than they may
        self.unexpected: set[str] = set()
        #: images that actors have begun to judge
        self.judging = 0
        self.answers: list[Answer] = []
        self.reports: list[tuple[str, Mapping[str, Any]]] = []
        self.units = ModelUnits(
            self._start,
            answer=lambda _, answer: self.answers.append(answer),
            report=lambda kind, document: self.reports.append((kind, document)),
        )
        self.units.set_bundle("old", version=1)

    def fail_once(self, method: str) -> None:
        if method in self.unexpected:
            self.unexpected.remove(method)
            raise RuntimeError(*[method] if method == "start" else [])

    def _start(self) -> Actor:
        self.fail_once("start")
        self.actors.append(Actor(self))
        return self.actors[-1]

    @property
    def alive(self) -> int:
        return sum(not actor.has_ended for actor in self.actors)

    @property
    def ready(self) -> int:
        return next(
            (int(report["count"]) for kind, report in self.reports[::-1] if kind == "units"), 0
        )

    def submit(self, *images: bytes) -> None:
        for image in images:
            expires_at = asyncio.get_running_loop().time() + PATIENCE_S
            self.units.submit(DetectionRequest({}, image, expires_at))


def units_report(count: int, *, version: int) -> tuple[str, Mapping[str, Any]]:
    return "units", {"in_service": count, "count": count, "version": version}


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0.001)


def run(scenario: Callable[[Cluster], Awaitable[None]]) -> None:
    async def within() -> None:
        await scenario(Cluster())

    asyncio.run(within())


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_units, "CHECK_S", 0.01)
    monkeypatch.setattr(model_units, "FIRST_PAUSE_S", 0.01)


def test_units_judge_and_end_after_what_waits() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.units.set_units(2)
        await until(lambda: cluster.ready == 2)
        cluster.may_answer.clear()
        cluster.submit(*[b"image"] * 6)

        cluster.units.set_units(0)
        cluster.may_answer.set()
        await until(lambda: not cluster.alive)

        assert [kind for kind, _, _ in cluster.answers] == ["detection"] * 6
        cluster.submit(b"late")
        assert cluster.answers[-1][0] == "unavailable"

    run(scenario)


def test_a_lost_actor_is_replaced_and_loses_no_image() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.units.set_units(1)
        await until(lambda: cluster.ready == 1)
        cluster.losses = 1

        cluster.submit(b"image")
        await until(lambda: cluster.answers)

        assert cluster.answers == [("detection", {"bundle": "old"}, [b"image"])]
        assert (len(cluster.actors), cluster.alive) == (2, 1)
        problem = {"reason": "the node was lost", "version": 1, "may_pass": True}
        assert ("problem", problem) in cluster.reports

    run(scenario)


def test_a_bundle_is_exchanged_in_the_same_actors_for_the_next_image() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.units.set_units(2)
        await until(lambda: cluster.ready == 2)
        cluster.may_answer.clear()
        cluster.submit(b"judged now")
        await asyncio.sleep(0)

        cluster.units.set_bundle("new", version=2)
        cluster.submit(*[b"next"] * 4)
        cluster.may_answer.set()
        await until(lambda: len(cluster.answers) == 5 and cluster.ready == 2)

        assert [
            document["bundle"] for _, document, [data] in cluster.answers if data == b"next"
        ] == ["new"] * 4
        assert cluster.reports[-1] == units_report(2, version=2)
        assert len(cluster.actors) == 2

    run(scenario)


def test_an_idle_actor_that_is_lost_is_replaced() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.units.set_units(1)
        await until(lambda: cluster.ready == 1)

        cluster.losses = 1
        await until(lambda: len(cluster.actors) == 2 and cluster.ready == 1)

        assert cluster.alive == 1

    run(scenario)


def test_an_image_that_ends_actors_is_given_up() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.units.set_units(1)

        cluster.submit(b"fatal", b"image")
        await until(lambda: len(cluster.answers) == 2)

        assert sorted(kind for kind, _, _ in cluster.answers) == ["detection", "unavailable"]
        await until(lambda: len(cluster.actors) == MOST_LOST_ACTORS + 1)

    run(scenario)


def test_a_unit_that_finds_no_room_ends_at_once() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.units.set_units(1)
        await until(lambda: cluster.ready == 1)
        cluster.has_room.clear()
        cluster.units.set_units(3)
        await until(lambda: cluster.alive == 3)

        cluster.units.set_units(1)
        await until(lambda: cluster.alive == 1)

        assert cluster.ready == 1
        assert not cluster.actors[0].has_ended

    run(scenario)


def test_units_that_never_started_leave_no_image_without_an_answer() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.has_room.clear()
        cluster.units.set_units(1)
        cluster.submit(b"image")

        cluster.units.set_units(0)
        await until(lambda: cluster.answers)

        assert cluster.answers[0][0] == "unavailable"
        assert not cluster.alive

    run(scenario)


def test_an_image_that_nobody_waits_for_any_more_is_not_judged() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.units.set_units(1)
        cluster.units.submit(DetectionRequest({}, b"image", expires_at=0.0))

        await until(lambda: cluster.answers)

        assert cluster.answers[0][0] == "unavailable"

    run(scenario)


def test_images_that_no_unit_takes_are_answered_and_leave_the_queue() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.has_room.clear()
        cluster.units.set_units(1)
        now = asyncio.get_running_loop().time()
        for _ in range(3):
            cluster.units.submit(DetectionRequest({}, b"image", expires_at=now + 0.01))
        cluster.submit(b"patient")

        await until(lambda: len(cluster.answers) == 3)

        assert {document["reason"] for _, document, _ in cluster.answers} == {NOT_IN_TIME}
        assert cluster.units._queue.qsize() == 1
        cluster.has_room.set()
        await until(lambda: len(cluster.answers) == 4)
        assert cluster.answers[-1] == ("detection", {"bundle": "old"}, [b"patient"])

    run(scenario)


def test_a_unit_goes_on_after_errors_that_nobody_expects() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.unexpected = {"start", "load", "detect", "end"}
        cluster.units.set_units(1)
        cluster.submit(b"image")

        await until(lambda: cluster.answers)

        assert cluster.answers == [("detection", {"bundle": "old"}, [b"image"])]
        assert cluster.unexpected == set()
        problems = [report["reason"] for kind, report in cluster.reports if kind == "problem"]
        assert problems == ["an actor failed: start", *["an actor failed: RuntimeError"] * 2]

    run(scenario)


def test_a_bundle_that_fails_gives_way_to_the_one_before() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.units.set_units(1)
        await until(lambda: cluster.ready == 1)
        cluster.units.set_bundle("broken", version=2)
        problem = {"reason": "broken", "version": 2, "may_pass": False}
        await until(lambda: ("problem", problem) in cluster.reports)

        assert cluster.units.go_back(2, version=3)
        await until(lambda: cluster.reports[-1] == units_report(1, version=3))
        cluster.submit(b"image")
        await until(lambda: cluster.answers)

        assert cluster.answers == [("detection", {"bundle": "old"}, [b"image"])]
        assert len(cluster.actors) == 1  # it answered all the time
        assert cluster.units.go_back(4, version=5)  # the broker never had version 4
        await until(lambda: cluster.reports[-1] == units_report(1, version=5))
        assert not cluster.units.go_back(5, version=6)  # no longer in memory

    run(scenario)


def test_a_bundle_and_fewer_units_at_once_leave_the_units_that_are_wanted() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.units.set_units(3)
        await until(lambda: cluster.ready == 3)

        cluster.units.set_bundle("new", version=2)
        cluster.units.set_units(1)
        await until(lambda: cluster.reports[-1] == units_report(1, version=2))
        cluster.submit(b"image")
        await until(lambda: cluster.answers)

        assert cluster.alive == 1

    run(scenario)


def test_a_bundle_that_fails_for_good_gets_other_actors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_units, "GO_BACK_PATIENCE_S", 0.01)

    async def scenario(cluster: Cluster) -> None:
        cluster.units.set_units(1)
        await until(lambda: cluster.ready == 1)

        cluster.units.set_bundle("broken", version=2)

        await until(lambda: len(cluster.actors) == 2)
        assert cluster.actors[0].has_ended

    run(scenario)


def test_an_actor_that_hangs_while_it_loads_another_bundle_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model_units, "RELOAD_PATIENCE_S", 0.01)

    async def scenario(cluster: Cluster) -> None:
        cluster.units.set_units(1)
        await until(lambda: cluster.ready == 1)
        cluster.units.set_bundle("endless", version=2)
        await until(lambda: len(cluster.actors) == 2)

        cluster.units.set_bundle("new", version=3)
        cluster.units.set_units(2)  # the second actor waits for the endless bundle without end
        await until(lambda: units_report(1, version=3) in cluster.reports)

        assert cluster.actors[0].has_ended

    run(scenario)


def test_a_unit_that_judges_during_an_exchange_loads_the_bundle_when_it_is_idle() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.units.set_units(2)
        await until(lambda: cluster.ready == 2)
        cluster.may_answer.clear()
        cluster.submit(b"long")
        await until(lambda: cluster.judging == 1)

        cluster.units.set_bundle("new", version=2)
        await until(lambda: not cluster.units._queue.qsize())  # the idle unit takes both signs
        cluster.may_answer.set()

        await until(lambda: cluster.reports[-1] == units_report(2, version=2))

    run(scenario)
