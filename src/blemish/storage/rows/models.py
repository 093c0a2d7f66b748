"""Rows of models."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from blemish.domain.detector_settings import DetectorSettings
from blemish.domain.entities import (
    EvaluationMethod,
    InferenceUnits,
    Model,
    ModelStatus,
    ObjectRef,
    Performance,
)
from blemish.domain.lifecycle import MODEL_HOSTED, MODEL_IN_PROGRESS, MODEL_LOADING, MODEL_WITH_WORK
from blemish.storage.database import leases
from blemish.storage.database.tables import MAX_ID, MODELS, PROJECTS, TAGS

_SELECT = select(MODELS, PROJECTS.c.name.label("project")).join_from(MODELS, PROJECTS)
# Built once, since building a statement takes longer than running it.
_OF_PROJECT = _SELECT.where(PROJECTS.c.name == bindparam("of_project"))
_FIND = _OF_PROJECT.where(MODELS.c.version == bindparam("of_version"))
_LATEST = _OF_PROJECT.order_by(MODELS.c.version.desc()).limit(1)
_PAGE = (
    _SELECT.where(
        MODELS.c.project_id == bindparam("of_project"), MODELS.c.version < bindparam("before")
    )
    .order_by(MODELS.c.version.desc())
    .limit(bindparam("most"))
)
#: the start failed, or an update of a model that still answers, and it is tried again
_RETRIED = MODELS.c.status.in_(MODEL_LOADING) & (MODELS.c.hosting_failures > 0)
_NO_UNITS = {"minimum_units": None, "maximum_units": None}


class Models:
    """The models, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        project_id: int,
        *,
        version: int,
        description: str | None,
        status: ModelStatus,
        status_message: str,
        output_bucket: str,
        output_prefix: str,
        kms_key_id: str | None = None,
        entries: str,
        detector_settings: DetectorSettings | None = None,
        now: datetime,
    ) -> Model:
        """Add a model; the version comes from `Projects.next_model_version`."""
        statement = insert(MODELS).values(
            project_id=project_id,
            version=version,
            description=description,
            status=status,
            status_message=status_message,
            created_at=now,
            output_bucket=output_bucket,
            output_prefix=output_prefix,
            kms_key_id=kms_key_id,
            entries=entries,
            detector_settings=detector_settings,
        )
        (model_id,) = self._connection.execute(statement).inserted_primary_key or (None,)
        return self._all(_SELECT.where(MODELS.c.id == model_id))[0]

    def find(self, project: str, version: int) -> Model | None:
        """Return this version of a project, by the name of the project."""
        return self._first(_FIND, of_project=project, of_version=version)

    def latest(self, project: str) -> Model | None:
        """Return the newest version of a project, by the name of the project."""
        return self._first(_LATEST, of_project=project)

    def page(self, project_id: int, *, before: int | None, limit: int) -> list[Model]:
        """Return the newest versions of a project, of those below `before`."""
        first = MAX_ID if before is None else before
        return self._all(_PAGE, of_project=project_id, before=first, most=limit)

    def count(self, project_id: int) -> int:
        """Count the models of a project, without those that are being deleted."""
        deleting = MODELS.c.status == ModelStatus.DELETING
        return self._count((MODELS.c.project_id == project_id) & ~deleting)

    def deleting(self, project_id: int) -> list[Model]:
        """Return the models of a project that are being deleted."""
        mine = MODELS.c.project_id == project_id
        return self._all(_SELECT.where(mine, MODELS.c.status == ModelStatus.DELETING))

    def count_hosted(self, *, other_than: int | None = None) -> int:
        """Count the models that are hosted, or about to be."""
        hosted = MODELS.c.status.in_(MODEL_HOSTED) | _RETRIED
        return self._count(hosted & (MODELS.c.id != (other_than or 0)))

    def count_training(self) -> int:
        """Count the models in training."""
        return self._count(MODELS.c.status == ModelStatus.TRAINING)

    def count_by_status(self) -> dict[ModelStatus, int]:
        """Count the models, by their status."""
        statement = select(MODELS.c.status, func.count()).group_by(MODELS.c.status)
        return {ModelStatus(status): count for status, count in self._connection.execute(statement)}

    def unsettled(self) -> list[Model]:
        """Return the models in progress, oldest first."""
        return self._all(
            _SELECT.where(MODELS.c.status.in_(MODEL_IN_PROGRESS) | _RETRIED).order_by(MODELS.c.id)
        )

    def with_status(self, status: ModelStatus) -> list[Model]:
        """Return the models in a status, oldest first."""
        return self._all(_SELECT.where(MODELS.c.status == status).order_by(MODELS.c.id))

    def with_ids(self, model_ids: Collection[int]) -> list[Model]:
        """Return the models with these ids."""
        return self._all(_SELECT.where(MODELS.c.id.in_(model_ids)))

    def stored_names(self) -> set[str]:
        """Return the names of the stored files and bundles in rows."""
        rows = self._connection.execute(select(MODELS.c.entries, MODELS.c.bundle))
        return {name for row in rows for name in row if name is not None}

    def move(
        self,
        model_id: int,
        *,
        sources: Collection[ModelStatus],
        target: ModelStatus,
        status_message: str,
        units: InferenceUnits | None = None,
    ) -> bool:
        """Move a model from one of `sources` to `target` and free it; return False if it cannot.

        Without `units` they stay the same, except that a TRAINED model has none.
        """
        return leases.move(
            self._connection,
            MODELS,
            model_id,
            sources=sources,
            status=target,
            status_message=status_message,
            hosting_failures=0,
            **_units(target, units),
        )

    def replace_bundle(
        self,
        model: Model,
        *,
        bundle: str,
        status: ModelStatus,
        status_message: str,
        settings: DetectorSettings | None = None,
    ) -> bool:
        """Set bundle, status and any settings; return False if the row differs from `model`."""
        changed = {} if settings is None else {"detector_settings": settings}
        statement = (
            update(MODELS)
            .where(
                MODELS.c.id == model.id,
                MODELS.c.bundle == model.bundle,
                MODELS.c.status == model.status,
            )
            .values(
                bundle=bundle,
                status=status,
                status_message=status_message,
                **changed,
                **leases.FREE,
            )
        )
        return self._connection.execute(statement).rowcount == 1

    def claim(
        self, model_id: int, *, owner: str, now: datetime, lease_until: datetime
    ) -> int | None:
        """Take a model in progress without a worker; return the number of the attempt."""
        return leases.claim(
            self._connection,
            MODELS,
            model_id,
            sources=MODEL_WITH_WORK,
            owner=owner,
            now=now,
            lease_until=lease_until,
        )

    def renew(
        self,
        model_id: int,
        *,
        attempt: int,
        lease_until: datetime | None = None,
        status_message: str | None = None,
    ) -> bool:
        """Extend the lease, set the status message, or both; return False for a stale attempt."""
        values = {"lease_until": lease_until, "status_message": status_message}
        return leases.write_held(
            self._connection,
            MODELS,
            model_id,
            attempt=attempt,
            sources=MODEL_WITH_WORK,
            **{name: value for name, value in values.items() if value is not None},
        )

    def finish_training(
        self,
        model_id: int,
        *,
        attempt: int,
        status_message: str,
        performance: Performance,
        evaluation_manifest: ObjectRef,
        evaluation_result: ObjectRef,
        evaluation_ended_at: datetime,
        bundle: str,
    ) -> bool:
        """Move TRAINING to TRAINED and store the result; return False for a stale attempt."""
        return self._finish(
            model_id,
            attempt=attempt,
            sources={ModelStatus.TRAINING},
            status=ModelStatus.TRAINED,
            status_message=status_message,
            f1_score=performance.f1_score,
            recall=performance.recall,
            precision=performance.precision,
            evaluation_method=performance.method,
            evaluation_manifest=evaluation_manifest,
            evaluation_result=evaluation_result,
            evaluation_ended_at=evaluation_ended_at,
            bundle=bundle,
        )

    def fail_training(self, model_id: int, *, attempt: int, status_message: str) -> bool:
        """Move TRAINING to TRAINING_FAILED; return False for a stale attempt."""
        return self.finish(
            model_id,
            attempt=attempt,
            sources={ModelStatus.TRAINING},
            target=ModelStatus.TRAINING_FAILED,
            status_message=status_message,
        )

    def finish(
        self,
        model_id: int,
        *,
        attempt: int,
        sources: Collection[ModelStatus],
        target: ModelStatus,
        status_message: str,
    ) -> bool:
        """End an attempt and free the model; return False for a stale attempt."""
        return self._finish(
            model_id,
            attempt=attempt,
            sources=sources,
            status=target,
            status_message=status_message,
            hosting_failures=0,
            **_units(target, None),
        )

    def fail_hosting(
        self,
        model: Model,
        *,
        attempt: int,
        target: ModelStatus,
        status_message: str,
        not_before: datetime | None,
    ) -> bool:
        """Move a model to HOSTING_FAILED, or leave its status; return False for a stale attempt.

        It is tried again from `not_before` on; never, if that is None.
        """
        return self._finish(
            model.id,
            attempt=attempt,
            sources={model.status},
            status=target,
            status_message=status_message,
            hosting_failures=model.hosting_failures + 1 if not_before else 0,
            not_before=not_before,
        )

    def retry_hosting(self, now: datetime) -> None:
        """Let what failed be tried again at once, after a start of the server."""
        self._connection.execute(update(MODELS).where(_RETRIED).values(not_before=now))

    def waiting_for_hosting(self) -> list[Model]:
        """Return the models whose start or update failed and is tried again, oldest first."""
        return self._all(_SELECT.where(_RETRIED).order_by(MODELS.c.id))

    def delete(self, model_id: int) -> None:
        """Delete a model with its tags; the caller deletes its files."""
        self._connection.execute(delete(TAGS).where(TAGS.c.model_id == model_id))
        self._connection.execute(delete(MODELS).where(MODELS.c.id == model_id))

    def _finish(
        self, model_id: int, *, attempt: int, sources: Collection[ModelStatus], **values: Any
    ) -> bool:
        return leases.write_held(
            self._connection,
            MODELS,
            model_id,
            attempt=attempt,
            sources=sources,
            **{**leases.SETTLED, **values},
        )

    def _all(self, statement: Select[Any], **values: Any) -> list[Model]:
        return [_model(row) for row in self._connection.execute(statement, values)]

    def _first(self, statement: Select[Any], **values: Any) -> Model | None:
        return next(iter(self._all(statement, **values)), None)

    def _count(self, condition: ColumnElement[bool]) -> int:
        statement = select(func.count()).select_from(MODELS).where(condition)
        return self._connection.execute(statement).scalar_one()


def _units(target: ModelStatus, units: InferenceUnits | None) -> dict[str, int | None]:
    if target is ModelStatus.TRAINED:
        return dict(_NO_UNITS)
    if units is None:
        return {}
    return {"minimum_units": units.minimum, "maximum_units": units.maximum}


def _model(row: Row[Any]) -> Model:
    return Model(
        id=row.id,
        project=row.project,
        version=row.version,
        description=row.description,
        status=ModelStatus(row.status),
        status_message=row.status_message,
        created_at=row.created_at,
        output_bucket=row.output_bucket,
        output_prefix=row.output_prefix,
        kms_key_id=row.kms_key_id,
        entries=row.entries,
        performance=_performance(row),
        evaluation_manifest=row.evaluation_manifest,
        evaluation_result=row.evaluation_result,
        evaluation_ended_at=row.evaluation_ended_at,
        bundle=row.bundle,
        units=_inference_units(row),
        attempt=row.attempt,
        interruptions=row.interruptions,
        hosting_failures=row.hosting_failures,
        not_before=row.not_before,
        detector_settings=row.detector_settings,
    )


def _performance(row: Row[Any]) -> Performance | None:
    if row.f1_score is None:
        return None
    method = row.evaluation_method
    return Performance(
        f1_score=row.f1_score,
        recall=row.recall,
        precision=row.precision,
        method=None if method is None else EvaluationMethod(method),
    )


def _inference_units(row: Row[Any]) -> InferenceUnits | None:
    if row.minimum_units is None:
        return None
    return InferenceUnits(minimum=row.minimum_units, maximum=row.maximum_units)
