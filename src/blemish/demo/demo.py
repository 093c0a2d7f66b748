"""`blemish demo`: what a user does, with boto3, against a server of its own."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from blemish.demo.data import BUCKET, DemoData, DemoDataError, copy_user_data, write_sample_data
from blemish.demo.environment import demo_environment
from blemish.demo.own_server import ServerStartError, own_server
from blemish.demo.page import DemoResult, write_page
from blemish.demo.steps import PROJECT, StepFailedError, UserSteps
from blemish.domain.entities import Label
from blemish.server.aws_files import PROFILE, AwsFiles
from blemish.storage.data_directory import DataDirectory, DirectoryBusyError
from blemish.storage.database.database import Database

MARKER = "demo.json"
"""A file beside the data: the demo created the folder, and the project that the file names."""


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to do."""


def run_demo(folder: Path, *, images: Path | None) -> bool:
    """Train a model, show its results on the test images, and say whether detection worked.

    Raises:
        DemoError: the demo may not empty the folder, the images cannot be used, or the server
            refuses something.
    """
    console = Console()
    directory = _fresh_directory(folder)
    files = AwsFiles(directory.aws, staging=directory.staging)
    page = directory.root / "report.html"
    with demo_environment(files), _progress(console) as progress:
        data, results, model = _learn_and_detect(directory, images, progress)
        write_page(page, results=results, model=model, directory=directory)
    console.print(_table(results))
    for note in data.notes:
        console.print(note, highlight=False, markup=False)
    console.print(_summary(results, model))
    console.print(f"Images, heat maps and verdicts: [bold]{page}[/bold]")
    command = f"{_own_command()} serve --data-dir {shlex.quote(str(folder))}"
    console.print(f"Look around in a browser: {command}", highlight=False)
    return _worked(results)


def _own_command() -> str:
    """Return how a shell finds the command that runs this."""
    command = Path(sys.argv[0])
    on_path = shutil.which("blemish") == str(command)
    return str(command) if command.name == "blemish" and not on_path else "blemish"


def _learn_and_detect(
    directory: DataDirectory, images: Path | None, progress: Progress
) -> tuple[DemoData, list[DemoResult], dict[str, Any]]:
    """Return the data, the results on the test images, and the description of the model.

    Raises:
        DemoError: the images cannot be used, or the server refuses something.
    """
    log = directory.root / "serve.log"
    try:
        data = _write_data(directory, images, progress)
        with own_server(directory, log=log, mixed_sizes=images is not None):
            results, model = _use_the_api(directory, data, progress)
    except (DemoDataError, ServerStartError, StepFailedError) as error:
        raise DemoError(str(error)) from None
    except ClientError as error:
        raise DemoError(f"The server refused: {error.response['Error']['Message']}") from None
    except BotoCoreError as error:
        raise DemoError(f"The server does not answer: {error} ({log} says more).") from None
    return data, results, model


def _fresh_directory(folder: Path) -> DataDirectory:
    """Empty the folder if the demo made everything in it.

    Raises:
        DemoError: a server uses it, or the demo did not make everything in it.
    """
    directory = DataDirectory(folder)
    if directory.root.exists() and any(directory.root.iterdir()):
        if not (directory.root / MARKER).is_file():
            raise DemoError(
                f"{directory.root} is not a folder that the demo made. "
                "Remove it yourself, or choose another with --data-dir."
            )
        try:
            with directory.lock("blemish demo"):
                _refuse_other_projects(directory)
        except DirectoryBusyError as error:
            raise DemoError(str(error)) from None
        shutil.rmtree(directory.root)
    directory.create()
    _write_marker(directory, created_at=None)
    return directory


def _write_marker(directory: DataDirectory, *, created_at: int | None) -> None:
    text = json.dumps({"project": PROJECT, "created_at": created_at})
    (directory.root / MARKER).write_text(text)


def _refuse_other_projects(directory: DataDirectory) -> None:
    """Refuse a folder with a project that the demo did not create."""
    marker = json.loads((directory.root / MARKER).read_text())
    if not directory.database.exists():
        return
    database = Database.open(directory.database)
    try:
        with database.reading() as rows:
            projects = rows.projects.page(before=None, limit=100)
    finally:
        database.close()
    others = [
        project.name
        for project in projects
        if project.name != marker["project"]
        or marker["created_at"] not in {None, _milliseconds(project.created_at)}
    ]
    if others:
        raise DemoError(
            f"{directory.root} holds projects that the demo did not make: "
            f"{', '.join(others)}. Choose another folder with --data-dir."
        )


def _milliseconds(moment: datetime) -> int:
    """Return a moment as the API answers it: to the millisecond."""
    return round(1000 * moment.timestamp())


def _write_data(directory: DataDirectory, images: Path | None, progress: Progress) -> DemoData:
    task = progress.add_task("copying images" if images else "drawing images", total=None)

    def advance(done: int, total: int) -> None:
        progress.update(task, completed=done, total=total)

    bucket = directory.buckets / BUCKET
    bucket.mkdir()
    if images:
        return copy_user_data(images, bucket, advance=advance)
    return write_sample_data(bucket, advance=advance)


def _use_the_api(
    directory: DataDirectory, data: DemoData, progress: Progress
) -> tuple[list[DemoResult], dict[str, Any]]:
    """Do what a user does; return the results on the test images, and the model's description."""
    client = boto3.Session(profile_name=PROFILE).client("lookoutvision")
    steps = UserSteps(client, progress)
    project = steps.create_project()
    _write_marker(directory, created_at=_milliseconds(project["CreationTimestamp"]))
    steps.create_datasets(data.manifests)
    model = steps.train()
    steps.start(model["ModelVersion"])
    return steps.detect(directory, model), model


def _worked(results: list[DemoResult]) -> bool:
    """Tell whether some images of each label got the right verdict."""
    correct = dict.fromkeys(Label, 0)
    for image in results:
        correct[image.truth] += image.verdict is image.truth
    return all(correct[label] for label in {image.truth for image in results})


def _table(results: list[DemoResult]) -> Table:
    table = Table("image", "truth", "verdict", "confidence", title="Test images")
    for image in results:
        mark = "" if image.verdict is image.truth else "  [red]wrong[/red]"
        confidence = f"{image.answer['Confidence']:.2f}"
        table.add_row(image.path.name, image.truth, f"{image.verdict}{mark}", confidence)
    return table


def _summary(results: list[DemoResult], model: Mapping[str, Any]) -> str:
    correct = sum(image.verdict is image.truth for image in results)
    measured = model["Performance"]
    return (
        f"{correct} of {len(results)} right. Measured by training: "
        f"F1 {measured['F1Score']:.2f}, precision {measured['Precision']:.2f}, "
        f"recall {measured['Recall']:.2f}."
    )


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(finished_text="[green]*"),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        console=console,
    )
