"""The page of packages: it packages a model for the edge, and lists the jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui

from blemish.console.images.image_bucket import image_bucket
from blemish.console.language.messages import later, say
from blemish.console.packaging.package_requests import package_url
from blemish.console.paths import project_path
from blemish.console.ui.frame import frame, heading, link, page, text, visitor
from blemish.console.ui.moment import moment
from blemish.console.ui.permissions import permit
from blemish.console.ui.pill import pill, trial_status
from blemish.console.ui.table import Cell, table
from blemish.domain.errors import AccessDeniedError
from blemish.domain.packaging import IN_PROGRESS, NVIDIA, PackagingJobStatus
from blemish.storage.errors import ObjectError

POLL_S = 1.0
JETSON = "jetson_xavier"

TARGETS: Mapping[str, Mapping[str, Any]] = {
    later("A PC (x86-64)"): {"TargetPlatform": {"Os": "LINUX", "Arch": "X86_64"}},
    later("An ARM64 device"): {"TargetPlatform": {"Os": "LINUX", "Arch": "ARM64"}},
    later("A PC with an NVIDIA card"): {
        "TargetPlatform": {"Os": "LINUX", "Arch": "X86_64", "Accelerator": NVIDIA}
    },
    later("An ARM64 device with an NVIDIA card"): {
        "TargetPlatform": {"Os": "LINUX", "Arch": "ARM64", "Accelerator": NVIDIA}
    },
    later("A Jetson AGX Xavier"): {"TargetDevice": JETSON},
}
"""What people read -> members of the configuration."""

NVIDIA_OPTIONS = '{"gpu-code": "sm_75", "trt-ver": "8.2.0", "cuda-ver": "11.2"}'


@page("/projects/{project}/packages", title=later("Packages"))
async def packages(project: str, version: str = "latest") -> None:
    """Show the packaging jobs of a project, and the form that starts one."""
    with frame(say("Packages"), project=project, section="models"):
        with ui.element("div").classes("head"):
            heading(say("Packages for the edge"))
            ui.element("div").classes("room")
            link(say("Models"), project_path(project, "/models"))
        with ui.element("section").classes("panel training-form"):
            text(
                say(
                    "A package is a model as a zip, for a device at the line. Download it, copy "
                    "it to the device, and run blemish edge install there."
                ),
                classes="quiet",
                tag="p",
            )
            form = _PackagingForm(project, version, bucket=await _bucket(project))
            await form.permit()
        jobs = _JobList(project)
        form.started = jobs.refresh
        await jobs.refresh()


async def _bucket(project: str) -> str:
    try:
        return await image_bucket(visitor(), project)
    except (AccessDeniedError, ObjectError):
        return ""  # the visitor names one


class _PackagingForm:
    """The form that starts a job."""

    def __init__(self, project: str, version: str, *, bucket: str) -> None:
        self._project = project
        self._visitor = visitor()
        #: called after a start
        self.started = _nothing
        self._version = ui.input(say("Model version"), value=version)
        self._name = ui.input(say("Name of the component"), value=project)
        first = next(iter(TARGETS))
        self._target = ui.select(
            {title: say(title) for title in TARGETS}, value=first, label=say("Device")
        )
        self._options = ui.input(say("Compiler options"), value=NVIDIA_OPTIONS)
        self._options.bind_visibility_from(self._target, "value", _needs_options)
        self._bucket = ui.input(say("Bucket"), value=bucket)
        self._prefix = ui.input(say("Prefix"), value="components/")
        self._button = ui.button(say("Package"), on_click=self._start)

    async def permit(self) -> None:
        """Disable what the visitor may not do."""
        operation = "StartModelPackagingJob"
        names = {"ProjectName": self._project, "ModelVersion": self._version.value}
        await permit(self._visitor, self._button, operation, **names)

    async def _start(self) -> None:
        target: str = self._target.value
        location = {"Bucket": self._bucket.value.strip(), "Prefix": self._prefix.value.strip()}
        greengrass = {
            "ComponentName": self._name.value.strip(),
            "S3OutputLocation": location,
            **TARGETS[target],
        }
        if _needs_options(target):
            greengrass["CompilerOptions"] = self._options.value.strip()
        answer = await self._visitor.call(
            "StartModelPackagingJob",
            ProjectName=self._project,
            ModelVersion=self._version.value.strip(),
            Configuration={"Greengrass": greengrass},
        )
        ui.notify(say("Job {job_name} has begun.", job_name=answer["JobName"]))
        await self.started()


async def _nothing() -> None:
    pass


def _needs_options(target: str) -> bool:
    return bool(TARGETS[target].get("TargetPlatform", {}).get("Accelerator") == NVIDIA)


class _JobList:
    """The jobs of a project, the newest first."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._visitor = visitor()
        self._shown: Sequence[Mapping[str, Any]] | None = None
        self._list = ui.element("div")
        ui.timer(POLL_S, self._poll, immediate=False)

    async def _poll(self) -> None:
        """Ask only while a job goes on: every look is a call."""
        if any(job[say("Status")] in IN_PROGRESS for job in self._shown or ()):
            await self.refresh()

    async def refresh(self) -> None:
        """Show the jobs of now."""
        answer = await self._visitor.call(
            "ListModelPackagingJobs", ProjectName=self._project, MaxResults=50
        )
        jobs = answer["ModelPackagingJobs"]
        if jobs == self._shown:
            return
        self._shown = jobs
        self._list.clear()
        with self._list:
            if not jobs:
                text(say("No model of this project was packaged yet."), classes="quiet", tag="p")
                return
            headings = (say("Job"), say("Model"), "Status", say("Started"), say("Package"))
            table(headings, [_row(self._project, job) for job in jobs])


def _row(project: str, job: Mapping[str, Any]) -> tuple[Cell, ...]:
    name, status = job["JobName"], trial_status(job["Status"])
    return (
        name,
        job["ModelVersion"],
        lambda: pill(status.words, status.look),
        lambda: moment(job["CreationTimestamp"]),
        lambda: _package(project, job),
    )


def _package(project: str, job: Mapping[str, Any]) -> None:
    """Draw the link to the zip, or the reason why there is none."""
    if job["Status"] != PackagingJobStatus.SUCCEEDED:
        failed = job["Status"] == PackagingJobStatus.FAILED
        text(job["StatusMessage"], classes="problem" if failed else "quiet")
        return
    anchor = ui.element("a").props("download")
    anchor.props["href"] = package_url(project, job["JobName"])
    with anchor:
        text(say("Download"))
