"""Limits on how many models, trainings, hosted models and inference units there may be."""

from __future__ import annotations

from blemish.domain.arns import ArnScope
from blemish.domain.entities import InferenceUnits, Model, Project
from blemish.domain.errors import ResourceType, ServiceQuotaExceededError, ValidationError
from blemish.domain.limits import Limits, Quota
from blemish.storage.rows.all_rows import Rows


class ModelQuotas:
    """Checks a change of models against the limits."""

    def __init__(self, limits: Limits, *, arns: ArnScope) -> None:
        self._limits = limits
        self._arns = arns

    def check_new_model(self, rows: Rows, project: Project) -> None:
        """Check that another model can be added to a project and trained.

        Raises:
            ServiceQuotaExceededError: it cannot.
        """
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

    def check_units(self, model: Model, units: InferenceUnits) -> None:
        """Check that a model can have these inference units.

        Raises:
            ServiceQuotaExceededError: there are too many.
        """
        most_units = self._limits.max_inference_units
        if max(units.minimum, units.maximum or 0) > most_units:
            raise ServiceQuotaExceededError(
                f"A model can have at most {most_units} inference units.",
                resource_type=ResourceType.MODEL,
                resource_id=self._arns.model(model.project, model.version),
                quota=Quota.INFERENCE_UNITS,
            )

    def check_hosted(self, rows: Rows, model: Model) -> None:
        """Check that another model can be hosted.

        Raises:
            ServiceQuotaExceededError: it cannot.
        """
        most_hosted = self._limits.max_hosted_models
        if most_hosted is not None and rows.models.count_hosted(other_than=model.id) >= most_hosted:
            raise ServiceQuotaExceededError(
                f"{most_hosted} models are hosted, the most allowed. Stop one first.",
                resource_type=ResourceType.MODEL,
                resource_id=self._arns.model(model.project, model.version),
                quota=Quota.HOSTED_MODELS,
            )


def check_unit_order(units: InferenceUnits) -> None:
    """Check that the maximum of inference units is not below the minimum.

    Raises:
        ValidationError: it is.
    """
    if units.maximum is not None and units.maximum < units.minimum:
        raise ValidationError(
            f"MaxInferenceUnits is {units.maximum}; "
            f"it must be at least MinInferenceUnits, {units.minimum}."
        )
