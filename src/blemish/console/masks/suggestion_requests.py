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
from blemish.console.images.model_in_force import model_in_force
from blemish.console.language.messages import later, say
from blemish.console.masks.mask_files import pack
from blemish.console.masks.painter_requests import NO_STORE
from blemish.console.masks.suggestions import suggested_mask
from blemish.console.visitor import in_thread
from blemish.domain.errors import ValidationError
from blemish.engine.images.orientation import turn

NO_MODEL = later("There is no trained model yet. Train one, and it suggests masks.")

_detecting = CapacityLimiter(1)
"""Images are scored one at a time, in a thread that no page waits for."""


@framework.get("/suggestion")
async def suggestion(request: Request, project: str, ref: str) -> Response:
    """Send the mask that the newest hosted or else the newest trained model suggests."""
    visitor, address = request_visitor(request), object_address(ref)
    version = await model_in_force(visitor, project)
    if version is None:
        raise ValidationError(say(NO_MODEL))

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
