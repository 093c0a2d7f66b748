"""Creating, describing, listing, starting, stopping and deleting models."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import chain

from blemish.domain.access.object_rights import READ, WRITE, ObjectRights
from blemish.domain.arns import ArnScope
from blemish.domain.detector_settings import DetectorChange, DetectorSettings, no_change
from blemish.domain.entities import (
    Dataset,
    InferenceUnits,
    Model,
    ModelStatus,
    ObjectRef,
    Project,
    Tag,
)
from blemish.domain.errors import (
    ConflictError,
    ResourceNotFoundError,
    ResourceType,
    ValidationError,
)
from blemish.domain.lifecycle import MODEL_MOVES, check_model_move, sources_of
from blemish.domain.limits import Limits
from blemish.domain.manifest import object_ref
from blemish.domain.tags import check_tag_count, check_tag_keys
from blemish.service.client_tokens import ALWAYS, Once
from blemish.service.datasets.line_checks import ignored_entry_notes
from blemish.service.models.jobs_in_progress import check_unneeded
from blemish.service.models.quotas import ModelQuotas, check_unit_order
from blemish.service.next_tokens import next_token, token_position
from blemish.service.objects import Objects, check_output
from blemish.service.projects import PAGE_SIZE, require_project
from blemish.service.region_masks import RegionMasks, region_mask_of_dataset
from blemish.service.training.evaluation_files import evaluation_keys, evaluation_mask_key
from blemish.service.training.trainable import trainable_datasets
from blemish.storage.database.database import Database
from blemish.storage.errors import KeyServiceError, KeyUnavailableError
from blemish.storage.rows.all_rows import Rows
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
        ResourceNotFoundError: the project or the model does not exist.
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
        self._region_masks = RegionMasks(objects, max_bytes=limits.detect_body_bytes)
        self._stored_files = stored_files
        self._limits = limits
        self._quotas = ModelQuotas(limits, arns=arns)
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
        detector_change: DetectorChange = no_change,
        rights: ObjectRights | None = None,
        once: Once[Model] = ALWAYS,
    ) -> Model:
        """Create a model, freeze entries and changed settings, and train it in the background.

        Raises:
            ResourceNotFoundError: the project does not exist, or it has no training dataset.
            AccessDeniedError: `rights` do not cover the regions or a file of the evaluation.
            ConflictError: a dataset is busy or could not be made.
            ValidationError: too few images, or output, key, regions or a tag are invalid.
            KeyServiceError: the key is in AWS KMS, which does not answer.
            ServiceQuotaExceededError: there would be too many models, trainings or tags.
        """
        self._check_request(once, tags, project, bucket=output_bucket, prefix=output_prefix)
        with self._database.reading() as rows:
            settings = _settings(rows, project, detector_change, rights)
            name, message = self._freeze(rows, project, settings, kms_key_id=kms_key_id)
        with self._stored_files.deleted_on_error(name), self._database.writing() as rows:
            once.recall(rows)
            owner = self._checked_owner(rows, project)
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
                detector_settings=settings,
                now=self._now(),
            )
            _check_rights(rights, rows, owner, model)
            rows.tags.put(model, {tag.key: tag.value for tag in tags})
            once.remember(rows, model)
        self._wake()
        return model

    def check_trainable(self, project: str) -> None:
        """Check that `create` would accept a model now.

        Raises:
            ResourceNotFoundError: the project does not exist, or it has no training dataset.
            ConflictError: a dataset is busy or could not be made.
            ValidationError: too few labelled images.
            ServiceQuotaExceededError: as many models as there may be are there, or being trained.
        """
        with self._database.reading() as rows:
            owner = require_project(rows, project)
            trainable_datasets(rows, project, limits=self._limits)
            self._quotas.check_new_model(rows, owner)

    def cancel(self, project: str, version: str, *, by: str) -> ModelStatus:
        """End a running or waiting training for good; `by` names the person.

        Its worker notices within about a second.

        Raises:
            ResourceNotFoundError: the project or the model does not exist.
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
            ResourceNotFoundError: the project or the model does not exist.
        """
        with self._database.looking_up() as rows:
            return require_model(rows, project, version)

    def page(
        self, project: str, *, token: str | None, limit: int = PAGE_SIZE
    ) -> tuple[list[Model], str | None]:
        """Return a page of the models of a project, newest first, and the token of the next.

        Raises:
            ResourceNotFoundError: the project does not exist.
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
        """Host a trained model in the background.

        Raises:
            ResourceNotFoundError: the project or the model does not exist.
            ConflictError: its status does not allow it.
            ValidationError: the maximum of units is below the minimum.
            ServiceQuotaExceededError: more units, or more hosted models, than there may be.
        """
        check_unit_order(units)
        target = ModelStatus.STARTING_HOSTING
        with self._database.writing() as rows:
            once.recall(rows)
            model = require_model(rows, project, version)
            self._check_move(model, target)
            self._quotas.check_units(model, units)
            self._quotas.check_hosted(rows, model)
            self._move(rows, model, target, message=STARTING, units=units)
            rows.client_tokens.spend(model.id)
            once.remember(rows, target, model_id=model.id)
        self._wake()
        return target

    def update_units(self, project: str, version: str, *, units: InferenceUnits) -> ModelStatus:
        """Change the inference units of a hosted model, which goes on answering.

        Raises:
            ResourceNotFoundError: the project or the model does not exist.
            ConflictError: it is not hosted.
            ValidationError: the maximum of units is below the minimum.
            ServiceQuotaExceededError: more units than there may be.
        """
        check_unit_order(units)
        target = ModelStatus.SYSTEM_UPDATING
        with self._database.writing() as rows:
            model = require_model(rows, project, version)
            self._check_move(model, target)
            self._quotas.check_units(model, units)
            self._move(rows, model, target, message=CHANGING_UNITS, units=units)
        self._wake()
        return target

    def stop(self, project: str, version: str, *, once: Once[ModelStatus] = ALWAYS) -> ModelStatus:
        """Stop a hosted model in the background.

        Raises:
            ResourceNotFoundError: the project or the model does not exist.
            ConflictError: its status does not allow it.
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
        """Delete a model in the background; its evaluation files stay.

        Raises:
            ResourceNotFoundError: the project or the model does not exist.
            ConflictError: its status does not allow it, or a job still needs it.
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

    def _checked_owner(self, rows: Rows, project: str) -> Project:
        """Return the project of a new model, if it may have one more."""
        owner = require_project(rows, project)
        self._quotas.check_new_model(rows, owner)
        return owner

    def _check_request(
        self, once: Once[Model], tags: Collection[Tag], project: str, *, bucket: str, prefix: str
    ) -> None:
        """Check tags and output; no transaction is open while the store is asked."""
        with self._database.reading() as rows:
            once.recall(rows)
            check_tag_keys(tag.key for tag in tags)
            check_tag_count(len(tags), most=self._limits.max_tags_per_model, resource_id=project)
            version = rows.projects.newest_version(require_project(rows, project).id) + 1
        keys = evaluation_keys(prefix, project, version=version)
        check_output(self._objects, bucket, keys.all(), member="OutputConfig")

    def _freeze(
        self, rows: Rows, project: str, settings: DetectorSettings, *, kms_key_id: str | None
    ) -> tuple[str, str]:
        """Store the entries for every attempt; return their name and the message of the model.

        Sealing them shows whether the key can be used.
        """
        name = f"entries-{self._new_name()}.jsonl"
        datasets = trainable_datasets(rows, project, limits=self._limits)
        regions = settings.regions
        lines = chain(
            [] if regions is None else [f"{self._region_masks.frozen_line(regions)}\n".encode()],
            _frozen(rows, datasets),
        )
        try:
            self._stored_files.write(name, lines, kms_key_id=kms_key_id)
        except KeyServiceError:
            raise
        except KeyUnavailableError as error:
            if kms_key_id is None:  # the default one is ours to mend
                raise
            raise ValidationError(f"KmsKeyId {kms_key_id} cannot be used: {error}") from None
        return name, " ".join([TRAINING, *ignored_entry_notes(rows, datasets)])


def _check_rights(rights: ObjectRights | None, rows: Rows, owner: Project, model: Model) -> None:
    if rights is not None:
        rights.require(WRITE, _evaluation_refs(rows, owner, model))


def _evaluation_refs(rows: Rows, owner: Project, model: Model) -> Iterator[ObjectRef]:
    """Yield the objects that the training of a model may write."""
    keys = evaluation_keys(model.output_prefix, model.project, version=model.version)
    datasets = rows.datasets.of_project(owner.id)
    images = max(rows.entries.stats(dataset.id).total for dataset in datasets)
    masks = (
        evaluation_mask_key(model.output_prefix, model.project, version=model.version, row=row)
        for row in range(images)
    )
    for key in (*keys.all(), *masks):
        yield ObjectRef(bucket=model.output_bucket, key=key)


def _settings(
    rows: Rows, project: str, change: DetectorChange, rights: ObjectRights | None
) -> DetectorSettings:
    """Return the settings of a new model; its dataset may name the regions."""
    settings = change(require_project(rows, project).detector_settings)
    if settings.regions is not None:
        return settings
    regions = region_mask_of_dataset(rows, project)
    if rights is not None and regions is not None and (ref := object_ref(regions.url)):
        rights.require(READ, [ref])
    return replace(settings, regions=regions)


def _frozen(rows: Rows, datasets: list[Dataset]) -> Iterator[bytes]:
    """Yield one JSON Line for each entry: the dataset it is of, and the entry's own line."""
    for dataset in datasets:
        for line in rows.entries.lines(dataset.id):
            frozen = {"dataset": dataset.type, "entry": line}
            yield (json.dumps(frozen, ensure_ascii=False) + "\n").encode()
