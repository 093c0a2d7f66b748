"""Changing a trained model: another bundle takes the place of its bundle.

The new bundle is written first. One conditional UPDATE gives it to the model, and then the old one
is removed. After a crash, the next start removes the bundle without a row.
"""

from __future__ import annotations

from collections.abc import Callable

from blemish.domain.arns import ArnScope
from blemish.domain.detector_settings import DetectorSettings
from blemish.domain.entities import Model, ModelStatus
from blemish.domain.errors import ConflictError, ResourceType
from blemish.domain.lifecycle import MODEL_ADJUSTABLE
from blemish.engine.bundle import Bundle
from blemish.service.models.bundles import Bundles
from blemish.service.models.models import require_model
from blemish.storage.database.database import Database


class AdjustableModels:
    """The models whose bundles can be replaced."""

    def __init__(
        self,
        database: Database,
        *,
        bundles: Bundles,
        arns: ArnScope,
        new_name: Callable[[], str],
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self.bundles = bundles
        self._arns = arns
        self._new_name = new_name
        self._wake = wake

    def find(self, project: str, version: str) -> Model:
        """Return a model.

        Raises:
            ResourceNotFoundError: the project or the model does not exist.
        """
        with self._database.looking_up() as rows:
            return require_model(rows, project, version)

    def adjustable(self, project: str, version: str) -> tuple[Model, str]:
        """Return a model that can be changed, and the name of its bundle.

        Raises:
            ResourceNotFoundError: the project or the model does not exist.
            ConflictError: its status does not allow it.
        """
        model = self.find(project, version)
        if model.status not in MODEL_ADJUSTABLE or model.bundle is None:
            raise self.conflict(model, "it must be TRAINED, HOSTED or HOSTING_FAILED to be moved")
        return model, model.bundle

    def replace_bundle(
        self,
        model: Model,
        moved: Bundle,
        *,
        instead_of: str,
        moving: str,
        note: str = "",
        settings: DetectorSettings | None = None,
    ) -> ModelStatus:
        """Store a bundle and assign it to the model; return the next status.

        Args:
            model: as it was read; the bundle is discarded if the model was changed since.
            moved: the new bundle.
            instead_of: name of the old bundle.
            moving: message while a hosted model is loaded with it.
            note: sentence that the message of the model ends with from now on.
            settings: of the model from now on; None leaves them.

        Raises:
            ConflictError: the model was changed meanwhile.
        """
        hosted = model.status is ModelStatus.HOSTED
        status = ModelStatus.SYSTEM_UPDATING if hosted else model.status
        message = moving if hosted else model.status_message
        if note and note not in message:
            message = f"{message} {note}"
        name = f"{model.id}-{self._new_name()}"
        self.bundles.add(name, moved, kms_key_id=model.kms_key_id)
        try:
            with self._database.writing() as rows:
                replaced = rows.models.replace_bundle(
                    model, bundle=name, status=status, status_message=message, settings=settings
                )
            if not replaced:
                model = self.find(model.project, str(model.version))
                raise self.conflict(model, "it was changed meanwhile. Try again")
        except BaseException:
            self.bundles.discard(name)
            raise
        self.bundles.discard(instead_of)
        self._wake()
        return status

    def conflict(self, model: Model, reason: str) -> ConflictError:
        """Return the error that says why a model cannot be changed."""
        arn = self._arns.model(model.project, model.version)
        return ConflictError(
            f"Model {arn} is {model.status}: {reason.removesuffix('.')}.",
            resource_type=ResourceType.MODEL,
            resource_id=arn,
        )
