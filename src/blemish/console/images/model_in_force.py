"""The model that helps people to label: the one in force."""

from __future__ import annotations

from blemish.console.visitor import Visitor
from blemish.domain.entities import ModelStatus
from blemish.domain.lifecycle import MODEL_WITH_BUNDLE


async def model_in_force(visitor: Visitor, project: str) -> str | None:
    """Return the newest hosted model, else the newest trained one; None if there is none."""
    answer = await visitor.call("ListModels", ProjectName=project, MaxResults=100)
    models = sorted(answer["Models"], key=lambda model: -int(model["ModelVersion"]))
    usable = [model for model in models if model["Status"] in MODEL_WITH_BUNDLE]
    hosted = [model for model in usable if model["Status"] == ModelStatus.HOSTED]
    return next((str(model["ModelVersion"]) for model in [*hosted, *usable]), None)
