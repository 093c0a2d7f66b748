"""The states of models, over real component folders and loaders that tests hold."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from blemish.edge.components import ComponentFolder, InstalledComponent
from blemish.edge.errors import (
    AgentBusyError,
    InvalidCallError,
    ModelStateError,
    UnknownModelError,
)
from blemish.edge.messages import EdgeStatus
from blemish.edge.models import MOST_WAITING, EdgeModels
from blemish.engine.errors import BundleError
from tests.edge_agents import ARN, component_zip
from tests.unit.edge.test_components import BUNDLE

S = EdgeStatus


class Agent:
    """Models whose loading a test can hold back and let fail."""

    def __init__(self, root: Path) -> None:
        self.folder = ComponentFolder(root / "components")
        self.may_load = threading.Event()
        self.may_load.set()
        self.problem: Exception | None = None
        self.models = EdgeModels(ComponentFolder(root / "components"), load=self._load)

    def _load(self, component: InstalledComponent) -> str:
        assert self.may_load.wait(30)
        if self.problem:
            raise self.problem
        return f"{component.name} {component.version}"

    def install(
        self, name: str = "plates", *, version: str = "1.0.0", autostart: bool = False
    ) -> None:
        archive = component_zip(BUNDLE, name=name, version=version)
        self.folder.install(io.BytesIO(archive), autostart=autostart)

    def status(self, name: str = "plates") -> EdgeStatus:
        return self.models.describe(name).status

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.001)

    async def run(self, name: str = "plates") -> None:
        self.models.start(name)
        await self.until(lambda: self.status(name) is S.RUNNING)


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Callable[[Agent], Awaitable[None]]], None]:
    """Run a test in an event loop, as the agent does."""

    def run(test: Callable[[Agent], Awaitable[None]]) -> None:
        async def whole() -> None:
            agent = Agent(tmp_path)
            try:
                await test(agent)
            finally:
                agent.may_load.set()
                await agent.models.close()

        asyncio.run(whole())

    return run


Play = Callable[[Callable[[Agent], Awaitable[None]]], None]


def test_a_model_is_started_and_stopped(play: Play) -> None:
    async def test(agent: Agent) -> None:
        agent.install()
        agent.may_load.clear()

        assert agent.status() is S.STOPPED
        assert agent.models.start("plates") is S.STARTING
        agent.may_load.set()
        await agent.until(lambda: agent.status() is S.RUNNING)
        assert await agent.models.running("plates") == "plates 1.0.0"
        assert agent.models.describe("plates").model_arn == ARN
        assert await agent.models.stop("plates") is S.STOPPED
        assert agent.status() is S.STOPPED

    play(test)


def test_calls_in_the_wrong_state_are_refused(play: Play) -> None:
    async def test(agent: Agent) -> None:
        agent.install()
        with pytest.raises(
            ModelStateError, match="is STOPPED; you cannot detect anomalies with it"
        ):
            await agent.models.running("plates")
        with pytest.raises(ModelStateError, match="is STOPPED; you cannot stop it now"):
            await agent.models.stop("plates")
        agent.may_load.clear()
        agent.models.start("plates")
        with pytest.raises(ModelStateError, match="is STARTING; you cannot start it now"):
            agent.models.start("plates")
        with pytest.raises(ModelStateError, match="is STARTING; you cannot stop it now"):
            await agent.models.stop("plates")
        agent.may_load.set()
        await agent.until(lambda: agent.status() is S.RUNNING)
        with pytest.raises(ModelStateError, match="is RUNNING; you cannot start it now"):
            agent.models.start("plates")

    play(test)


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (BundleError("The bundle is damaged."), "The bundle is damaged."),
        (RuntimeError("secret"), "The agent failed; its log says why."),
    ],
)
def test_a_model_that_cannot_be_loaded_is_failed_and_can_be_started_again(
    play: Play, problem: Exception, message: str
) -> None:
    async def test(agent: Agent) -> None:
        agent.install()
        agent.problem = problem

        agent.models.start("plates")
        await agent.until(lambda: agent.status() is S.FAILED)

        assert agent.models.describe("plates").message == message
        agent.problem = None
        await agent.run()
        assert agent.models.describe("plates").message == ""

    play(test)


def test_names_are_checked(play: Play) -> None:
    async def test(agent: Agent) -> None:
        with pytest.raises(InvalidCallError):
            agent.models.describe("")
        with pytest.raises(UnknownModelError, match="No component 'plates' is installed"):
            agent.models.start("plates")

    play(test)


def test_a_stop_waits_for_detections_and_lets_no_other_in(play: Play) -> None:
    async def test(agent: Agent) -> None:
        agent.install()
        await agent.run()
        go_on = threading.Event()
        detection = asyncio.create_task(agent.models.detect("plates", lambda: go_on.wait(30)))
        await asyncio.sleep(0)

        stopping = asyncio.create_task(agent.models.stop("plates"))
        await agent.until(lambda: agent.status() is S.STOPPING)
        with pytest.raises(ModelStateError, match="is STOPPING"):
            await agent.models.running("plates")
        assert not stopping.done()
        go_on.set()

        assert await detection
        assert await stopping is S.STOPPED

    play(test)


def test_more_images_than_may_wait_are_refused(play: Play) -> None:
    async def test(agent: Agent) -> None:
        agent.install()
        await agent.run()
        go_on = threading.Event()
        waiting = [
            asyncio.create_task(agent.models.detect("plates", lambda: go_on.wait(30)))
            for _ in range(MOST_WAITING)
        ]
        await asyncio.sleep(0)

        with pytest.raises(AgentBusyError):
            await agent.models.detect("plates", lambda: None)

        go_on.set()
        assert all(await asyncio.gather(*waiting))
        await agent.until(lambda: agent.models._waiting == 0)
        await agent.models.detect("plates", lambda: None)

    play(test)


def test_a_component_with_autostart_runs_as_soon_as_it_is_installed(play: Play) -> None:
    async def test(agent: Agent) -> None:
        agent.models.refresh()
        agent.install(autostart=True)

        agent.models.refresh()

        await agent.until(lambda: agent.status() is S.RUNNING)

    play(test)


def test_a_detection_waits_for_a_model_that_starts_with_the_agent(play: Play) -> None:
    async def test(agent: Agent) -> None:
        agent.install(autostart=True)
        agent.may_load.clear()
        agent.models.refresh()

        waiting = asyncio.create_task(agent.models.running("plates"))
        await asyncio.sleep(0)
        assert agent.status() is S.STARTING
        agent.may_load.set()

        assert await waiting == "plates 1.0.0"

    play(test)


def test_a_running_model_goes_on_while_its_new_version_is_loaded(play: Play) -> None:
    async def test(agent: Agent) -> None:
        agent.install()
        await agent.run()
        agent.may_load.clear()
        agent.install(version="1.1.0")

        agent.models.refresh()

        assert await agent.models.running("plates") == "plates 1.0.0"
        agent.may_load.set()
        async with asyncio.timeout(30):
            while await agent.models.running("plates") != "plates 1.1.0":
                await asyncio.sleep(0.001)

    play(test)


def test_a_new_version_that_cannot_be_loaded_leaves_the_old_running(play: Play) -> None:
    async def test(agent: Agent) -> None:
        agent.install()
        await agent.run()
        agent.problem = BundleError("The bundle is damaged.")
        agent.install(version="1.1.0")

        agent.models.refresh()

        await agent.until(lambda: agent.models.describe("plates").message != "")
        assert agent.models.describe("plates").message == (
            "Version 1.1.0 cannot be loaded: The bundle is damaged."
        )
        assert await agent.models.running("plates") == "plates 1.0.0"

    play(test)


def test_a_component_replaced_while_it_is_loaded_is_loaded_again(play: Play) -> None:
    async def test(agent: Agent) -> None:
        agent.install()
        agent.may_load.clear()
        agent.models.start("plates")
        agent.install(version="1.1.0")
        agent.models.refresh()
        agent.may_load.set()

        await agent.until(lambda: agent.status() is S.RUNNING)

        assert await agent.models.running("plates") == "plates 1.1.0"

    play(test)


def test_a_removed_component_is_gone(play: Play) -> None:
    async def test(agent: Agent) -> None:
        agent.install()
        await agent.run()
        agent.folder.remove("plates")

        assert agent.models.describe_all() == []
        with pytest.raises(UnknownModelError):
            await agent.models.running("plates")

    play(test)


def test_a_component_that_cannot_be_read_is_a_failed_model(play: Play) -> None:
    async def test(agent: Agent) -> None:
        agent.install()
        (agent.folder.require("plates").folder / "manifest.json").write_text("{}")

        (model,) = agent.models.describe_all()

        assert model.status is S.FAILED
        assert "manifest.json is not as format 1 wants it" in model.message

    play(test)
