"""What the pages about a model read: the API's answers, the evaluation files, the bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blemish.console.language.messages import say
from blemish.console.models.evaluation import (
    EvaluatedImage,
    TypeResult,
    parse_evaluation_manifest,
    parse_type_results,
)
from blemish.console.models.image_layers import PreviewedModel
from blemish.console.models.preview_requests import check_download
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import ObjectRef
from blemish.domain.errors import AccessDeniedError, ResourceNotFoundError
from blemish.domain.lifecycle import MODEL_WITH_BUNDLE
from blemish.engine.bundle import BundleInfo
from blemish.engine.errors import BundleError
from blemish.storage.errors import EncryptionError, ObjectError


@dataclass(frozen=True, kw_only=True)
class EvaluationFiles:
    """The content of the evaluation files; if they cannot be read, `problem` says why."""

    images: Sequence[EvaluatedImage] = ()
    types: Sequence[TypeResult] = ()
    problem: str = ""


async def describe_model(visitor: Visitor, project: str, version: str) -> Mapping[str, Any]:
    """Return the description of a model."""
    answer = await visitor.call("DescribeModel", ProjectName=project, ModelVersion=version)
    description: Mapping[str, Any] = answer["ModelDescription"]
    return description


async def read_evaluation(visitor: Visitor, model: Mapping[str, Any]) -> EvaluationFiles:
    """Read the evaluation files of a model, which may be gone or not for the visitor."""
    manifest, result = model.get("EvaluationManifest"), model.get("EvaluationResult")
    if not manifest or not result:
        return EvaluationFiles(problem=say("This model has not been evaluated."))
    try:
        return EvaluationFiles(
            images=parse_evaluation_manifest(await visitor.read_object(_ref(manifest))),
            types=parse_type_results(await visitor.read_object(_ref(result))),
        )
    except AccessDeniedError as error:
        return EvaluationFiles(problem=error.message)
    except (ObjectError, ValueError) as error:
        return EvaluationFiles(
            problem=say("The evaluation files cannot be read. {error}", error=error)
        )


async def bundle_info(
    visitor: Visitor, project: str, model: Mapping[str, Any]
) -> BundleInfo | None:
    """Return the description in a model's bundle; None if it has none or the visitor may not."""
    version = model["ModelVersion"]
    if model["Status"] not in MODEL_WITH_BUNDLE:
        return None

    def read() -> BundleInfo | None:
        try:
            visitor.check("DescribeModelThreshold", ProjectName=project, ModelVersion=version)
            return visitor.services.previews.info(project, version)
        except (AccessDeniedError, BundleError, EncryptionError):
            return None

    return await in_thread(read)


async def previewed_model(visitor: Visitor, project: str, version: str) -> PreviewedModel | None:
    """Return the model whose heat maps are shown; None if it is gone, or the visitor may not."""
    names = {"ProjectName": project, "ModelVersion": version}
    try:
        info = await bundle_info(visitor, project, await describe_model(visitor, project, version))
    except (AccessDeniedError, ResourceNotFoundError):
        return None
    if info is None or not await visitor.may("DetectAnomalies", **names):
        return None
    return PreviewedModel(
        project=project,
        version=version,
        threshold=info.threshold,
        mask=bool(info.anomaly_types),
    )


async def may_download(visitor: Visitor, project: str, version: str) -> bool:
    """Tell whether the visitor may download the bundle."""

    def check() -> bool:
        try:
            check_download(visitor, project, version)
        except AccessDeniedError:
            return False
        return True

    return await in_thread(check)


def _ref(location: Mapping[str, str]) -> ObjectRef:
    return ObjectRef(bucket=location["Bucket"], key=location["Key"])
