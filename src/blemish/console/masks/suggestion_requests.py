"""What a model suggests to paint on an image, as the painter asks for it.

GET /console/suggestion?project=&ref=  -> the model's name, types and pixels
"""

from __future__ import annotations

from anyio import CapacityLimiter, to_thread
from nicegui import app as framework
from starlette.requests import Request
from starlette.responses import Response

from blemish.console.http import request_visitor
from blemish.console.images.entry import object_address
from blemish.console.masks.mask_files import pack
from blemish.console.masks.painter_requests import NO_STORE
from blemish.console.masks.suggestions import suggested_mask
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import ModelStatus
from blemish.domain.errors import ValidationError
from blemish.domain.lifecycle import MODEL_WITH_BUNDLE
from blemish.engine.images.orientation import turn

NO_MODEL = "There is no trained model yet. Train one, and it suggests masks."

_detecting = CapacityLimiter(1)
"""Images are scored one at a time, in a thread that no page waits for."""


@framework.get("/suggestion")
async def suggestion(request: Request, project: str, ref: str) -> Response:
    """Send the mask that the newest hosted or else the newest trained model suggests."""
    visitor, address = request_visitor(request), object_address(ref)
    version = await suggesting_model(visitor, project)
    if version is None:
        raise ValidationError(NO_MODEL)

    def check() -> None:
        visitor.check("DetectAnomalies", ProjectName=project, ModelVersion=version)
        with visitor.object_access("s3:GetObject", address):
            pass  # the model reads it

    def draw() -> bytes:
        detection = visitor.services.previews.detection(project, version, address)
        suggested = suggested_mask(detection)
        pixels = turn(suggested.pixels, detection.orientation)
        height, width = pixels.shape
        types = [
            {"index": index, "color": color, "name": name}
            for index, (color, name) in suggested.types.items()
        ]
        head = {"width": width, "height": height, "types": types, "model": version}
        return pack(pixels, head)

    await in_thread(check)
    data = await to_thread.run_sync(draw, limiter=_detecting)
    return Response(data, media_type="application/octet-stream", headers=NO_STORE)


async def suggesting_model(visitor: Visitor, project: str) -> str | None:
    """Return the newest hosted model, else the newest trained one; None if there is none."""
    answer = await visitor.call("ListModels", ProjectName=project, MaxResults=100)
    models = sorted(answer["Models"], key=lambda model: -int(model["ModelVersion"]))
    usable = [model for model in models if model["Status"] in MODEL_WITH_BUNDLE]
    hosted = [model for model in usable if model["Status"] == ModelStatus.HOSTED]
    return next((str(model["ModelVersion"]) for model in [*hosted, *usable]), None)
