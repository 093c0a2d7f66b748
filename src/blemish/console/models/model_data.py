"""What the pages about a model read: the API's answers, the evaluation files, the bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blemish.console.models.evaluation import Judged, TypeResult, parse_manifest, parse_types
from blemish.console.models.preview_requests import check_download
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import ModelStatus, ObjectRef
from blemish.domain.errors import AccessDeniedError
from blemish.engine.bundle import BundleInfo
from blemish.engine.errors import BundleError
from blemish.storage.errors import EncryptionError, ObjectError

WITH_BUNDLE = frozenset(ModelStatus) - {
    ModelStatus.TRAINING,
    ModelStatus.TRAINING_FAILED,
    ModelStatus.DELETING,
}


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """What the evaluation files say; where they cannot be read, `problem` says why."""

    judged: Sequence[Judged] = ()
    types: Sequence[TypeResult] = ()
    problem: str = ""


async def described(visitor: Visitor, project: str, version: str) -> Mapping[str, Any]:
    """Return the description of a model."""
    answer = await visitor.call("DescribeModel", ProjectName=project, ModelVersion=version)
    found: Mapping[str, Any] = answer["ModelDescription"]
    return found


async def evaluated(visitor: Visitor, model: Mapping[str, Any]) -> Evaluated:
    """Read the evaluation files of a model, which may be gone or not for the visitor."""
    manifest, result = model.get("EvaluationManifest"), model.get("EvaluationResult")
    if not manifest or not result:
        return Evaluated(problem="This model has not been evaluated.")
    try:
        return Evaluated(
            judged=parse_manifest(await visitor.read_object(_ref(manifest))),
            types=parse_types(await visitor.read_object(_ref(result))),
        )
    except AccessDeniedError as error:
        return Evaluated(problem=error.message)
    except (ObjectError, ValueError) as error:
        return Evaluated(problem=f"The evaluation files cannot be read. {error}")


async def bundle_info(
    visitor: Visitor, project: str, model: Mapping[str, Any]
) -> BundleInfo | None:
    """Return what a model's bundle says; None without one, or not for the visitor."""
    version = model["ModelVersion"]
    if model["Status"] not in WITH_BUNDLE:
        return None

    def read() -> BundleInfo | None:
        try:
            visitor.check_here("DescribeModelThreshold", ProjectName=project, ModelVersion=version)
            return visitor.services.previews.info(project, version)
        except (AccessDeniedError, BundleError, EncryptionError):
            return None

    return await in_thread(read)


async def may_download(visitor: Visitor, project: str, version: str) -> bool:
    """Tell whether the visitor may take the bundle along."""

    def check() -> bool:
        try:
            check_download(visitor, project, version)
        except AccessDeniedError:
            return False
        return True

    return await in_thread(check)


def _ref(location: Mapping[str, str]) -> ObjectRef:
    return ObjectRef(bucket=location["Bucket"], key=location["Key"])
