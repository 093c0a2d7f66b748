"""The zip of a packaged model, as browsers ask for it."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from nicegui import app as framework
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from blemish.console.http import request_visitor
from blemish.console.language.messages import say
from blemish.console.paths import ROOT
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import ObjectRef
from blemish.domain.packaging import PackagingJobStatus, component_folder

MOST_BYTES = 2 * 1024**3


def package_url(project: str, job: str) -> str:
    """Return where a browser finds the zip that a job has written."""
    return f"{ROOT}/package?{urlencode({'project': project, 'job': job})}"


@framework.get("/package")
async def package(request: Request, project: str, job: str) -> Response:
    """Send the zip of a component; the visitor may read the job and the object."""
    visitor = request_visitor(request)
    names = {"ProjectName": project, "JobName": job}
    answer = await visitor.call("DescribeModelPackagingJob", **names)
    description = answer["ModelPackagingDescription"]
    if description["Status"] != PackagingJobStatus.SUCCEEDED:
        return PlainTextResponse(say("The job has not made its package."), status_code=404)
    greengrass = description["ModelPackagingConfiguration"]["Greengrass"]
    location = greengrass["S3OutputLocation"]
    name, version = greengrass["ComponentName"], greengrass["ComponentVersion"]
    file = f"{name}-{version}.zip"
    folder = component_folder(location.get("Prefix"), name, version)
    address = ObjectRef(bucket=location["Bucket"], key=f"{folder}/{file}")
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file)}",
        "Cache-Control": "no-store",
    }
    data = await in_thread(_read, visitor, address)
    return Response(data, media_type="application/zip", headers=headers)


def _read(visitor: Visitor, address: ObjectRef) -> bytes:
    with visitor.object_access("s3:GetObject", address):
        return visitor.services.objects.read(address, max_bytes=MOST_BYTES)
