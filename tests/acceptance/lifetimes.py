"""Random requests to a real server that is killed and started again, beside what must hold."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, assume, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from blemish.domain.arns import ArnScope
from blemish.domain.entities import DatasetStatus, ModelStatus
from blemish.domain.lifecycle import DATASET_USABLE
from blemish.settings import Settings
from tests.acceptance.disturbed_servers import DisturbedServers
from tests.acceptance.lifetime_rows import GONE, DatasetRow, ModelRow
from tests.acceptance.lifetime_server import (
    CALLS_BETWEEN_STARTS,
    GOOD_LINES,
    IMAGES,
    OUTPUT,
    SOURCES,
    KilledServer,
    Refused,
)
from tests.acceptance.served import BUCKET, line
from tests.postgresql_server import PostgresqlServer
from tests.products import draw, png

D, M = DatasetStatus, ModelStatus
# mostly of what is there, so that most is carried out
Names = st.sampled_from(["plates", "plates", "plates", "boards"])
Kinds = st.sampled_from(["train", "train", "train", "test"])
Versions = st.sampled_from([1, 1, 2, 2, 3, 4])
#: when the server is killed, in seconds after a request was sent; mostly never
Kills = st.one_of(*[st.none()] * 6, st.floats(0.002, 0.02))


IMAGE = png(draw(0).pixels)


class Lifetimes(RuleBasedStateMachine):
    """Asks for anything, at any time, and knows what must come of it."""

    #: a data directory that `prepare` made
    prepared: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self.server: KilledServer | DisturbedServers
        self.has_begun = False
        #: kills so far
        self.kills = 0
        #: project -> versions that it gave
        self.projects = {"plates": 2}
        self.good = {each["source-ref"]: json.dumps(each) for each in GOOD_LINES}
        self.datasets = {
            ("plates", "train"): DatasetRow(
                name="plates/train", status=D.CREATE_COMPLETE, entries=self.good, then=self.good
            )
        }
        self.models = {
            ("plates", version): ModelRow(name=f"plates/{version}", status=M.TRAINED)
            for version in (1, 2)
        }

    @initialize(is_simplest=st.sampled_from([True] + [False] * 15))
    def pass_over_the_simplest(self, *, is_simplest: bool) -> None:
        """Begin, unless it is the first that hypothesis tries: a `look` again and again."""
        assume(not is_simplest)
        self.server = self.begin()
        self.has_begun = True

    def begin(self) -> KilledServer | DisturbedServers:
        """Return what is asked, started."""
        server = KilledServer(
            self.prepared, after_kill=self.note_kill, before_start=self.note_start
        )
        try:
            server.start()
        except BaseException:
            server.close()
            raise
        return server

    def note_kill(self) -> None:
        """Note the models whose load a kill may have met."""
        self.kills += 1
        for model in self.models.values():
            model.note_kill()

    def note_start(self) -> None:
        """Note that models may be loaded anew."""
        for model in self.models.values():
            model.note_start()

    @rule()
    def look(self) -> None:
        """See that everything is as it must be."""
        found = {each["ProjectName"] for each in self.server.client.list_projects()["Projects"]}
        assert found == set(self.projects)
        for project in self.projects:
            self.look_at_models(project)
        for (project, kind), dataset in list(self.datasets.items()):
            self.look_at_dataset(project, kind, dataset)

    def look_at_models(self, project: str) -> None:
        listed = self.server.client.list_models(ProjectName=project)["Models"]
        statuses = {int(each["ModelVersion"]): each for each in listed}
        known = {version for name, version in self.models if name == project}
        assert set(statuses) <= known, f"{project} has models {set(statuses)}"
        for version in known:
            model = self.models[project, version]
            seen = statuses.get(version, {"Status": GONE, "StatusMessage": ""})
            model.see(seen["Status"], message=seen["StatusMessage"])
            if model.status == GONE:
                del self.models[project, version]
                refused = self.server.call("list_tags_for_resource", **arn_of(project, version))
                assert isinstance(refused, Refused)
            elif not model.may_be_gone:
                if model.status == M.HOSTED:
                    self.detect(project, version)
                tags = self.server.client.list_tags_for_resource(**arn_of(project, version))["Tags"]
                assert {tag["Key"]: tag["Value"] for tag in tags} == model.tags

    def look_at_dataset(self, project: str, kind: str, dataset: DatasetRow) -> None:
        which = {"ProjectName": project, "DatasetType": kind}
        described = self.server.call("describe_dataset", **which)
        if isinstance(described, Refused):
            assert described.code == "ResourceNotFoundException"
            dataset.see(GONE)
            del self.datasets[project, kind]
            return
        dataset.see(described["DatasetDescription"]["Status"])
        if dataset.at_rest:
            pages = self.server.client.get_paginator("list_dataset_entries").paginate(**which)
            entries = [entry for page in pages for entry in page["DatasetEntries"]]
            assert entries == list(dataset.entries.values())

    @rule(project=Names, kill=Kills)
    def create_project(self, project: str, kill: float | None) -> None:
        answered = self.server.ask("create_project", kill, ProjectName=project)
        assert isinstance(answered, Refused) == (project in self.projects)
        self.projects.setdefault(project, 0)

    @rule(project=Names, kill=Kills)
    def delete_project(self, project: str, kill: float | None) -> None:
        answered = self.server.ask("delete_project", kill, ProjectName=project)
        rows = [*self.datasets.items(), *self.models.items()]
        mine = [(key, row) for key, row in rows if key[0] == project]
        match answered:
            case Refused("ResourceNotFoundException"):
                assert project not in self.projects
            case Refused("ConflictException"):
                assert mine
            case dict():
                assert all(row.may_be_gone for _, row in mine)
                del self.projects[project]
                for kind in ("train", "test"):
                    self.datasets.pop((project, kind), None)
                self.models = {key: row for key, row in self.models.items() if key[0] != project}
            case _:
                raise AssertionError(answered)

    @rule(project=Names, kind=Kinds, how=st.sampled_from(sorted(SOURCES)), kill=Kills)
    def create_dataset(self, project: str, kind: str, how: str, kill: float | None) -> None:
        members = {"ProjectName": project, "DatasetType": kind}
        answered = self.server.ask("create_dataset", kill, **members, **SOURCES[how])
        row = self.datasets.get((project, kind))
        match answered:
            case Refused("ResourceNotFoundException"):
                assert project not in self.projects
            case Refused("ConflictException"):
                assert row is not None
            case dict():
                assert row is None or row.may_be_gone
                then = {"empty": {}, "good": self.good, "bad": None}[how]
                status = answered["DatasetMetadata"]["Status"]
                assert status == (D.CREATE_COMPLETE if how == "empty" else D.CREATE_IN_PROGRESS)
                self.datasets[project, kind] = DatasetRow(
                    name=f"{project}/{kind}", status=status, then=then
                )
            case _:
                raise AssertionError(answered)

    @rule(
        project=Names,
        kind=Kinds,
        images=st.lists(st.integers(0, IMAGES - 1), min_size=1, max_size=12),
        label=st.sampled_from(["normal", "anomaly", None]),
        good=st.booleans(),
        kill=Kills,
    )
    def change_dataset(
        self,
        project: str,
        kind: str,
        images: list[int],
        label: str | None,
        *,
        good: bool,
        kill: float | None,
    ) -> None:
        refs = [f"s3://{BUCKET}/{number}.png" for number in images]
        changes = {ref: json.dumps(line(ref, label)) for ref in refs}
        lines = list(changes.values()) + ([] if good else [json.dumps(line(f"{BUCKET}", label))])
        members = {"ProjectName": project, "DatasetType": kind}
        answered = self.server.ask(
            "update_dataset_entries", kill, **members, Changes="\n".join(lines)
        )
        row = self.datasets.get((project, kind))
        match answered:
            case Refused("ResourceNotFoundException"):
                assert row is None or row.may_be_gone
            case Refused("ConflictException", message):
                assert row is not None
                row.refuse(D.UPDATE_IN_PROGRESS, message)
            case dict():
                assert row is not None
                if row.then is not None:
                    row.entries = row.then  # the change before this one has ended meanwhile
                row.change(row.entries | changes if good else None)
            case _:
                raise AssertionError(answered)

    @rule(project=Names, kind=Kinds, kill=Kills)
    def delete_dataset(self, project: str, kind: str, kill: float | None) -> None:
        answered = self.server.ask("delete_dataset", kill, ProjectName=project, DatasetType=kind)
        row = self.datasets.get((project, kind))
        match answered:
            case Refused("ResourceNotFoundException"):
                assert row is None or row.may_be_gone
            case Refused("ConflictException", message):
                assert row is not None
                row.refuse(D.DELETE_IN_PROGRESS, message)
            case dict():
                assert row is not None
                row.ask(D.DELETE_IN_PROGRESS)
            case _:
                raise AssertionError(answered)

    @rule(project=Names, kill=Kills)
    def create_model(self, project: str, kill: float | None) -> None:
        if sum(name == project for name, _ in self.models) >= 3:
            return  # a training takes long
        tags = [{"Key": "line", "Value": "4"}]
        members = {"ProjectName": project, "OutputConfig": OUTPUT, "Tags": tags}
        answered = self.server.ask("create_model", kill, **members)
        rows = [self.datasets.get((project, kind)) for kind in ("train", "test")]
        match answered:
            case Refused("ResourceNotFoundException"):
                assert rows[0] is None or rows[0].may_be_gone
            case Refused("ConflictException"):
                assert any(row and row.status not in DATASET_USABLE for row in rows)
            case Refused("ValidationException"):
                assert not (self.settled(rows) and enough(rows))
            case dict():
                assert not self.settled(rows) or enough(rows)
                self.projects[project] += 1
                version = self.projects[project]
                assert answered["ModelMetadata"]["ModelVersion"] == str(version)
                self.models[project, version] = ModelRow(
                    name=f"{project}/{version}", status=M.TRAINING, tags={"line": "4"}
                )
            case _:
                raise AssertionError(answered)

    @staticmethod
    def settled(rows: list[DatasetRow | None]) -> bool:
        return all(row is None or row.status in DATASET_USABLE for row in rows)

    def ask_model(
        self,
        operation: str,
        target: ModelStatus,
        project: str,
        version: int,
        kill: float | None,
        **more: Any,
    ) -> None:
        kills_before = self.kills
        answered = self.server.ask(
            operation, kill, ProjectName=project, ModelVersion=str(version), **more
        )
        model = self.models.get((project, version))
        match answered:
            case Refused("ResourceNotFoundException"):
                assert model is None or model.may_be_gone
            case Refused("ConflictException", message):
                assert model is not None
                model.refuse(target, message)
            case dict():
                assert model is not None
                model.ask(target, amid_kill=self.kills > kills_before)
            case _:
                raise AssertionError(answered)

    @rule(project=Names, version=Versions, units=st.integers(1, 2), kill=Kills)
    def start_model(self, project: str, version: int, units: int, kill: float | None) -> None:
        more = {"MinInferenceUnits": units}
        self.ask_model("start_model", M.STARTING_HOSTING, project, version, kill, **more)

    @rule(project=Names, version=Versions, kill=Kills)
    def stop_model(self, project: str, version: int, kill: float | None) -> None:
        self.ask_model("stop_model", M.STOPPING_HOSTING, project, version, kill)

    @rule(project=Names, version=st.sampled_from([2, 3, 4, 5]), kill=Kills)
    def delete_model(self, project: str, version: int, kill: float | None) -> None:
        self.ask_model("delete_model", M.DELETING, project, version, kill)

    @rule(project=Names, version=Versions, value=st.sampled_from("abc"), kill=Kills)
    def tag(self, project: str, version: int, value: str, kill: float | None) -> None:
        model = self.models.get((project, version))
        tags = [{"Key": "shift", "Value": value}]
        answered = self.server.ask("tag_resource", kill, **arn_of(project, version), Tags=tags)
        if isinstance(answered, Refused):
            assert answered.code == "ResourceNotFoundException"
            assert model is None or model.may_be_gone
        else:
            assert model is not None
            model.tags["shift"] = value

    @rule(project=Names, version=Versions)
    def detect(self, project: str, version: int) -> None:
        model = self.models.get((project, version))
        if model is None or model.damaged:
            return  # it would be waited for, in vain
        which = {"ProjectName": project, "ModelVersion": str(version)}
        image = {"ContentType": "image/png", "Body": IMAGE}
        match self.server.call("detect_anomalies", **which, **image):
            case Refused("ResourceNotFoundException"):
                assert model.may_be_gone
            case Refused("ConflictException", message):
                model.see(message.partition(" is ")[2].partition(";")[0])
                assert model.status not in {M.HOSTED, M.SYSTEM_UPDATING}
            case dict() | Refused("ThrottlingException"):
                model.see_answer()
            case answered:
                raise AssertionError(answered)

    @rule()
    def repeat(self) -> None:
        """Repeat the last request that succeeded: it is answered as before, and not made again."""
        if self.server.last is None:
            return
        operation, members, answer = self.server.last
        if operation == "start_model" and self.model_of(members).may_fail:
            return  # it may have failed to start, and its token be spent
        assert self.server.call(operation, **members) == answer

    def model_of(self, members: dict[str, Any]) -> ModelRow:
        return self.models[members["ProjectName"], int(members["ModelVersion"])]

    @rule(version=Versions)
    def damage(self, version: int) -> None:
        """Damage the bundle of a model, or mend it if it was damaged."""
        model = self.models.get(("plates", version))
        if model is None:
            return
        for bundle in self.server.bundles_of(version):
            with contextlib.suppress(FileNotFoundError):
                path = max(bundle.iterdir(), key=lambda each: each.stat().st_size)
                data = bytearray(path.read_bytes())
                data[len(data) // 2] ^= 1
                path.write_bytes(data)
                model.damaged = True

    @precondition(lambda self: self.server.calls >= CALLS_BETWEEN_STARTS)
    @rule(number=st.sampled_from([signal.SIGKILL, signal.SIGTERM]))
    def restart(self, number: signal.Signals) -> None:
        self.server.end(number)
        self.server.start()

    def teardown(self) -> None:
        """See that everything comes to rest, and is the same after a last start."""
        if not self.has_begun:
            return
        try:
            self.come_to_rest()
            self.server.end(signal.SIGTERM)
            self.server.start()
            self.come_to_rest()
            self.server.end(signal.SIGTERM)
        finally:
            self.server.close()

    def come_to_rest(self) -> None:
        deadline = time.monotonic() + self.server.PATIENCE_S
        while self.look() or not all(
            row.at_rest for row in (*self.datasets.values(), *self.models.values())
        ):
            assert time.monotonic() < deadline, (self.datasets, self.models)
            time.sleep(0.1)


def arn_of(project: str, version: int) -> dict[str, str]:
    """Return the member that names a model in the operations about tags."""
    fields = Settings.model_fields
    scope = ArnScope(region=fields["region"].default, account=fields["account"].default)
    return {"ResourceArn": scope.model(project, version)}


def enough(rows: list[DatasetRow | None]) -> bool:
    """Tell whether a model can be trained on a training and a test dataset."""
    train, test = rows
    if train is None:
        return False
    return train.normal >= 15 if test is None else train.normal >= 10 and bool(test.entries)


class LifetimesOnServers(Lifetimes):
    """The same of three servers on one PostgreSQL, which is killed and stopped as well."""

    postgresql: ClassVar[PostgresqlServer]

    def begin(self) -> DisturbedServers:
        """See `Lifetimes`."""
        return DisturbedServers(self.postgresql, after_kill=self.note_kill)


def run(prepared: Path, *, examples: int, steps: int, random_seed: int = 0) -> None:
    """Begin so many times with what `prepare` made, and make so many steps each time.

    The same seed asks for the same, but for what depends on time.
    """
    Lifetimes.prepared = prepared
    _run(Lifetimes, examples=examples, steps=steps, random_seed=random_seed)


def run_on_servers(
    postgresql: PostgresqlServer, *, examples: int, steps: int, random_seed: int = 0
) -> None:
    """Begin so many times with three servers, and make so many steps each time."""
    LifetimesOnServers.postgresql = postgresql
    _run(LifetimesOnServers, examples=examples, steps=steps, random_seed=random_seed)


def _run(machine: type[Lifetimes], *, examples: int, steps: int, random_seed: int) -> None:
    run_state_machine_as_test(
        seed(random_seed)(machine),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # a server is too slow, and too much at once, to shrink
            suppress_health_check=list(HealthCheck),
        ),
    )
