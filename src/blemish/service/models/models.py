"""Models: made from the datasets of a project, described, listed, started, stopped, deleted."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from datetime import datetime

from blemish.domain.arns import ArnScope
from blemish.domain.entities import Dataset, InferenceUnits, Model, ModelStatus, Project, Tag
from blemish.domain.errors import (
    ConflictError,
    ResourceNotFoundError,
    ResourceType,
    ServiceQuotaExceededError,
    ValidationError,
)
from blemish.domain.lifecycle import MODEL_MOVES, check_model_move, sources_of
from blemish.domain.limits import Limits, Quota
from blemish.domain.tags import check_tag_count, check_tag_keys
from blemish.service.client_tokens import ALWAYS, Once
from blemish.service.datasets.line_checks import dataset_notes
from blemish.service.models.jobs_in_progress import check_unneeded
from blemish.service.next_tokens import next_token, token_position
from blemish.service.objects import Objects, check_output
from blemish.service.projects import PAGE_SIZE, require_project
from blemish.service.training.evaluation_files import evaluation_keys
from blemish.service.training.trainable import trainable_datasets
from blemish.storage.database.database import Database, Rows
from blemish.storage.errors import KeyServiceError, KeyUnavailableError
from blemish.storage.stored_files import StoredFiles

TRAINING = "The model is being trained."
STARTING = "The model is starting."
CHANGING_UNITS = "The model is being moved to other inference units."
STOPPING = "The model is stopping."
DELETING = "The model is being deleted."

LATEST = "latest"


def require_model(rows: Rows, project: str, version: str) -> Model:
    """Find a model by its version, or the newest one by `latest`.

    Raises:
        ResourceNotFoundError: there is no such project or model.
    """
    model = (
        rows.models.latest(project)
        if version == LATEST
        else rows.models.find(project, int(version))
    )
    if model is None:
        require_project(rows, project)
        none = "no model" if version == LATEST else f"no model version {version}"
        raise ResourceNotFoundError(
            f"Project {project} has {none}.",
            resource_type=ResourceType.MODEL,
            resource_id=f"{project}/{version}",
        )
    return model


class ModelService:
    """The models of the projects."""

    def __init__(
        self,
        database: Database,
        *,
        objects: Objects,
        stored_files: StoredFiles,
        limits: Limits,
        arns: ArnScope,
        now: Callable[[], datetime],
        new_name: Callable[[], str],
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._objects = objects
        self._stored_files = stored_files
        self._limits = limits
        self._arns = arns
        self._now = now
        self._new_name = new_name
        self._wake = wake

    def create(
        self,
        project: str,
        *,
        description: str | None,
        output_bucket: str,
        output_prefix: str,
        kms_key_id: str | None = None,
        tags: Collection[Tag] = (),
        once: Once[Model] = ALWAYS,
    ) -> Model:
        """Freeze the entries of the project's datasets and have a model trained on them.

        Raises:
            ResourceNotFoundError: there is no such project, or it has no training dataset.
            ConflictError: a dataset is busy or could not be made.
            ValidationError: too few labelled images, no place for the evaluation files, no such
                key or one that may not be used, or a tag key is there twice or reserved.
            KeyServiceError: the key is in AWS KMS, which does not answer.
            ServiceQuotaExceededError: the project has as many models, or as many are being
                trained, as there may be; or there are more tags than a model may have.
        """
        check_tag_keys(tag.key for tag in tags)
        name = f"entries-{self._new_name()}.jsonl"
        with self._database.reading() as rows:
            once.recall(rows)
            owner = require_project(rows, project)
            check_tag_count(len(tags), most=self._limits.max_tags_per_model, resource_id=project)
            version = rows.projects.models_made(owner.id) + 1
            keys = evaluation_keys(output_prefix, project, version=version)
            check_output(self._objects, output_bucket, keys.all(), member="OutputConfig")
            datasets = trainable_datasets(rows, project, limits=self._limits)
            message = " ".join([TRAINING, *dataset_notes(rows, datasets)])
            self._freeze(rows, datasets, name=name, kms_key_id=kms_key_id)
        try:
            with self._database.writing() as rows:
                once.recall(rows)
                owner = require_project(rows, project)
                self._check_quotas(rows, owner)
                model = rows.models.add(
                    owner.id,
                    version=rows.projects.next_model_version(owner.id),
                    description=description,
                    status=ModelStatus.TRAINING,
                    status_message=message,
                    output_bucket=output_bucket,
                    output_prefix=output_prefix,
                    kms_key_id=kms_key_id,
                    entries=name,
                    now=self._now(),
                )
                rows.tags.put(model, {tag.key: tag.value for tag in tags})
                once.remember(rows, model)
        except BaseException:
            self._stored_files.delete(name)
            raise
        self._wake()
        return model

    def check_trainable(self, project: str) -> None:
        """Tell whether a model could be trained now, as `create` does, and make none.

        Raises:
            ResourceNotFoundError: there is no such project, or it has no training dataset.
            ConflictError: a dataset is busy or could not be made.
            ValidationError: too few labelled images.
            ServiceQuotaExceededError: as many models as there may be are there, or being trained.
        """
        with self._database.reading() as rows:
            owner = require_project(rows, project)
            trainable_datasets(rows, project, limits=self._limits)
            self._check_quotas(rows, owner)

    def cancel(self, project: str, version: str, *, by: str) -> ModelStatus:
        """End the training of a model for good, whether it runs or waits; `by` is who says so.

        Whoever works on it learns within about a second that the row is no longer his.

        Raises:
            ResourceNotFoundError: there is no such project or model.
            ConflictError: it is not in training, or no longer.
        """
        target = ModelStatus.TRAINING_FAILED
        with self._database.writing() as rows:
            model = require_model(rows, project, version)
            if model.status is not ModelStatus.TRAINING:
                arn = self._arns.model(model.project, model.version)
                reason = f" ({model.status_message})" if model.status is target else ""
                raise ConflictError(
                    f"Model {arn} is {model.status}{reason}; only a training can be cancelled.",
                    resource_type=ResourceType.MODEL,
                    resource_id=arn,
                )
            self._move(rows, model, target, message=f"Cancelled by {by}.")
        return target

    def describe(self, project: str, version: str) -> Model:
        """Return a model.

        Raises:
            ResourceNotFoundError: there is no such project or model.
        """
        with self._database.reading() as rows:
            return require_model(rows, project, version)

    def page(
        self, project: str, *, token: str | None, limit: int = PAGE_SIZE
    ) -> tuple[list[Model], str | None]:
        """Return a page of the models of a project, newest first, and the token of the next.

        Raises:
            ResourceNotFoundError: there is no such project.
        """
        with self._database.reading() as rows:
            owner = require_project(rows, project)
            scope = f"models/{owner.id}"
            before = token_position(token, scope)
            models = rows.models.page(owner.id, before=before, limit=limit + 1)
        more = len(models) > limit
        return models[:limit], next_token(scope, models[limit - 1].version) if more else None

    def start(
        self,
        project: str,
        version: str,
        *,
        units: InferenceUnits,
        once: Once[ModelStatus] = ALWAYS,
    ) -> ModelStatus:
        """Have a trained model hosted.

        Raises:
            ResourceNotFoundError: there is no such project or model.
            ConflictError: its status forbids it.
            ValidationError: the maximum of units is below the minimum.
            ServiceQuotaExceededError: more units, or more hosted models, than there may be.
        """
        _check_order(units)
        target = ModelStatus.STARTING_HOSTING
        with self._database.writing() as rows:
            once.recall(rows)
            model = require_model(rows, project, version)
            self._check_move(model, target)
            self._check_units(model, units)
            self._check_hosted(rows, model)
            self._move(rows, model, target, message=STARTING, units=units)
            rows.client_tokens.spend(model.id)
            once.remember(rows, target, model_id=model.id)
        self._wake()
        return target

    def update_units(self, project: str, version: str, *, units: InferenceUnits) -> ModelStatus:
        """Have a hosted model moved to other units, while it goes on answering.

        Raises:
            ResourceNotFoundError: there is no such project or model.
            ConflictError: it is not hosted.
            ValidationError: the maximum of units is below the minimum.
            ServiceQuotaExceededError: more units than there may be.
        """
        _check_order(units)
        target = ModelStatus.SYSTEM_UPDATING
        with self._database.writing() as rows:
            model = require_model(rows, project, version)
            self._check_move(model, target)
            self._check_units(model, units)
            self._move(rows, model, target, message=CHANGING_UNITS, units=units)
        self._wake()
        return target

    def stop(self, project: str, version: str, *, once: Once[ModelStatus] = ALWAYS) -> ModelStatus:
        """Have a hosted model stopped.

        Raises:
            ResourceNotFoundError: there is no such project or model.
            ConflictError: its status forbids it.
        """
        target = ModelStatus.STOPPING_HOSTING
        with self._database.writing() as rows:
            once.recall(rows)
            model = require_model(rows, project, version)
            self._check_move(model, target)
            self._move(rows, model, target, message=STOPPING)
            rows.client_tokens.spend(model.id)
            once.remember(rows, target, model_id=model.id)
        self._wake()
        return target

    def delete(self, project: str, version: str, *, once: Once[Model] = ALWAYS) -> Model:
        """Have a model deleted; its evaluation files stay where they are.

        Raises:
            ResourceNotFoundError: there is no such project or model.
            ConflictError: its status forbids it, or a detection or packaging job still needs it.
        """
        with self._database.writing() as rows:
            once.recall(rows)
            model = require_model(rows, project, version)
            self._check_move(model, ModelStatus.DELETING)
            check_unneeded(rows, model, arn=self._arns.model(model.project, model.version))
            self._move(rows, model, ModelStatus.DELETING, message=DELETING)
            once.remember(rows, model)
        self._wake()
        return model

    @staticmethod
    def _move(
        rows: Rows,
        model: Model,
        target: ModelStatus,
        *,
        message: str,
        units: InferenceUnits | None = None,
    ) -> None:
        rows.models.move(
            model.id,
            sources=sources_of(target, MODEL_MOVES),
            target=target,
            status_message=message,
            units=units,
        )

    def _check_move(self, model: Model, target: ModelStatus) -> None:
        arn = self._arns.model(model.project, model.version)
        check_model_move(model.status, target, model_arn=arn)

    def _freeze(
        self, rows: Rows, datasets: list[Dataset], *, name: str, kms_key_id: str | None
    ) -> None:
        """Keep the entries for every attempt; sealing them shows whether the key can be used."""
        try:
            self._stored_files.write(name, _frozen(rows, datasets), kms_key_id=kms_key_id)
        except KeyServiceError:
            raise
        except KeyUnavailableError as error:
            if kms_key_id is None:  # the default one is ours to mend
                raise
            raise ValidationError(f"KmsKeyId {kms_key_id} cannot be used: {error}") from None

    def _check_quotas(self, rows: Rows, project: Project) -> None:
        most = self._limits.max_models_per_project
        if rows.models.count(project.id) >= most:
            raise ServiceQuotaExceededError(
                f"Project {project.name} has {most} models, the most allowed. Delete one first.",
                resource_type=ResourceType.PROJECT,
                resource_id=project.name,
                quota=Quota.MODELS,
            )
        trainings = self._limits.max_concurrent_trainings
        if trainings is not None and rows.models.count_training() >= trainings:
            raise ServiceQuotaExceededError(
                f"{trainings} models are being trained, the most at once. Wait for one to end.",
                resource_type=ResourceType.MODEL,
                resource_id=project.name,
                quota=Quota.TRAININGS,
            )

    def _check_units(self, model: Model, units: InferenceUnits) -> None:
        most_units = self._limits.max_inference_units
        if max(units.minimum, units.maximum or 0) > most_units:
            raise ServiceQuotaExceededError(
                f"A model can have at most {most_units} inference units.",
                resource_type=ResourceType.MODEL,
                resource_id=self._arns.model(model.project, model.version),
                quota=Quota.INFERENCE_UNITS,
            )

    def _check_hosted(self, rows: Rows, model: Model) -> None:
        most_hosted = self._limits.max_hosted_models
        if most_hosted is not None and rows.models.count_hosted() >= most_hosted:
            raise ServiceQuotaExceededError(
                f"{most_hosted} models are hosted, the most allowed. Stop one first.",
                resource_type=ResourceType.MODEL,
                resource_id=self._arns.model(model.project, model.version),
                quota=Quota.HOSTED_MODELS,
            )


def _check_order(units: InferenceUnits) -> None:
    if units.maximum is not None and units.maximum < units.minimum:
        raise ValidationError(
            f"MaxInferenceUnits is {units.maximum}; "
            f"it must be at least MinInferenceUnits, {units.minimum}."
        )


def _frozen(rows: Rows, datasets: list[Dataset]) -> Iterator[bytes]:
    """Yield one JSON Line for each entry: the dataset it is of, and the entry's own line."""
    for dataset in datasets:
        for line in rows.entries.lines(dataset.id):
            frozen = {"dataset": dataset.type, "entry": line}
            yield (json.dumps(frozen, ensure_ascii=False) + "\n").encode()
