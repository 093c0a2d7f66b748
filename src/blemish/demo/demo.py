"""`blemish demo`: all that a user does, by boto3 against a server of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from blemish.demo.data import (
    BUCKET,
    DemoDataError,
    Manifests,
    copy_user_data,
    write_sample_data,
)
from blemish.demo.page import Found, write_page
from blemish.domain.entities import Label
from blemish.domain.manifest import object_ref
from blemish.engine.images.decode import media_type
from blemish.server.aws_files import PROFILE, AwsFiles
from blemish.storage.data_directory import DataDirectory, DirectoryBusyError
from blemish.storage.database.database import Database

PROJECT = "demo"
MARKER = "demo.json"
"""Beside the data: says that the demo made the folder, and which project in it is its own."""

START_PATIENCE_S = 30.0
POLL_S = 0.2


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to do."""


def run_demo(folder: Path, *, images: Path | None) -> bool:
    """Learn a product and judge its test images; say whether detection worked.

    Raises:
        DemoError: the folder is not the demo's to make anew, the images cannot be used, or the
            server refuses something.
    """
    console = Console()
    directory = _fresh_directory(folder)
    try:
        with _progress(console) as progress:
            manifests = _write_data(directory, images, progress)
            with _server(directory, mixed_sizes=images is not None) as log:
                found, model = _journey(directory, manifests, progress)
    except DemoDataError as error:
        raise DemoError(str(error)) from None
    except ClientError as error:
        raise DemoError(f"The server refused: {error.response['Error']['Message']}") from None
    except BotoCoreError as error:
        raise DemoError(f"The server cannot be reached: {error} ({log} says more).") from None

    page = directory.root / "report.html"
    write_page(page, found=found, model=model, directory=directory)
    console.print(_table(found))
    console.print(_summary(found, model))
    console.print(f"Images, heat maps and verdicts: [bold]{page}[/bold]")
    console.print(f"Look around in a browser: make serve DIR={folder}", highlight=False)
    return _worked(found)


def _fresh_directory(folder: Path) -> DataDirectory:
    """Empty the folder if the demo made all that is in it.

    Raises:
        DemoError: it is being served, or holds what the demo did not make.
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
                _refuse_strangers(directory)
        except DirectoryBusyError as error:
            raise DemoError(str(error)) from None
        shutil.rmtree(directory.root)
    directory.create()
    (directory.root / MARKER).write_text(json.dumps({"project": PROJECT, "created_at": None}))
    return directory


def _refuse_strangers(directory: DataDirectory) -> None:
    """Refuse a folder with a project that the demo did not make."""
    made = json.loads((directory.root / MARKER).read_text())
    if not directory.database.exists():
        return
    database = Database.open(directory.database)
    try:
        with database.reading() as rows:
            projects = rows.projects.page(before=None, limit=100)
    finally:
        database.close()
    strangers = [
        project.name
        for project in projects
        if project.name != made["project"]
        or made["created_at"] not in {None, _milliseconds(project.created_at)}
    ]
    if strangers:
        raise DemoError(
            f"{directory.root} holds projects that the demo did not make: "
            f"{', '.join(strangers)}. Choose another folder with --data-dir."
        )


def _milliseconds(moment: datetime) -> int:
    """Return a moment as the API tells it: to the millisecond."""
    return round(1000 * moment.timestamp())


def _write_data(directory: DataDirectory, images: Path | None, progress: Progress) -> Manifests:
    task = progress.add_task("copying images" if images else "drawing images", total=None)

    def advance(done: int, total: int) -> None:
        progress.update(task, completed=done, total=total)

    bucket = directory.buckets / BUCKET
    bucket.mkdir()
    if images:
        return copy_user_data(images, bucket, advance=advance)
    return write_sample_data(bucket, advance=advance)


@contextmanager
def _server(directory: DataDirectory, *, mixed_sizes: bool) -> Iterator[Path]:
    """Run `blemish serve` over the directory on a free port; give the path of its log."""
    log = directory.root / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "blemish.cli.main", "serve", "--port", "0"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ
            | {
                "BLEMISH_DATA_DIR": str(directory.root),
                "BLEMISH_MIXED_SIZES": str(mixed_sizes).lower(),
            },
        )
    try:
        _wait_for_server(process, log)
        yield log
    finally:
        process.terminate()
        process.wait(START_PATIENCE_S)


def _wait_for_server(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_PATIENCE_S
    while "Blemish listens on" not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise DemoError(f"The server did not start:\n{log.read_text()}")
        time.sleep(POLL_S)


def _journey(
    directory: DataDirectory, manifests: Manifests, progress: Progress
) -> tuple[list[Found], dict[str, Any]]:
    """Do by boto3 what a user does; return what was found, and the model's description."""
    files = AwsFiles(directory.aws, staging=directory.staging)
    os.environ["AWS_CONFIG_FILE"] = str(files.config)
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(files.credentials)
    client = boto3.Session(profile_name=PROFILE).client("lookoutvision")

    made = client.create_project(ProjectName=PROJECT)["ProjectMetadata"]
    marker = {"project": PROJECT, "created_at": _milliseconds(made["CreationTimestamp"])}
    (directory.root / MARKER).write_text(json.dumps(marker))
    _import(client, manifests, progress)
    model = _train(client, progress)
    _start(client, model["ModelVersion"], progress)
    found = _detect(client, directory, model, progress)
    return found, model


def _import(client: Any, manifests: Manifests, progress: Progress) -> None:
    task = progress.add_task("making the datasets", total=len(manifests))
    for kind, key in manifests.items():
        source = {"GroundTruthManifest": {"S3Object": {"Bucket": BUCKET, "Key": key}}}
        client.create_dataset(ProjectName=PROJECT, DatasetType=kind, DatasetSource=source)
    for kind in manifests:
        while True:
            answer = client.describe_dataset(ProjectName=PROJECT, DatasetType=kind)
            dataset = answer["DatasetDescription"]
            if dataset["Status"] == "CREATE_FAILED":
                raise DemoError(dataset["StatusMessage"])
            if dataset["Status"] == "CREATE_COMPLETE":
                break
            time.sleep(POLL_S)
        progress.advance(task)


def _train(client: Any, progress: Progress) -> dict[str, Any]:
    task = progress.add_task("training", total=100)
    output = {"S3Location": {"Bucket": BUCKET, "Prefix": "evaluation/"}}
    made = client.create_model(ProjectName=PROJECT, OutputConfig=output)["ModelMetadata"]
    while True:
        model = _describe(client, made["ModelVersion"])
        match model["Status"]:
            case "TRAINED":
                progress.update(task, description="training", completed=100)
                return model
            case "TRAINING_FAILED":
                raise DemoError(model["StatusMessage"])
        step = re.search(r": (.*), (\d+)%", model["StatusMessage"])
        if step:
            description = f"training: {step[1]}"
            progress.update(task, description=description, completed=int(step[2]))
        time.sleep(POLL_S)


def _start(client: Any, version: str, progress: Progress) -> None:
    task = progress.add_task("starting the model", total=1)
    client.start_model(ProjectName=PROJECT, ModelVersion=version, MinInferenceUnits=1)
    while (model := _describe(client, version))["Status"] != "HOSTED":
        if model["Status"] == "HOSTING_FAILED":
            raise DemoError(model["StatusMessage"])
        time.sleep(POLL_S)
    progress.advance(task)


def _describe(client: Any, version: str) -> dict[str, Any]:
    answer = client.describe_model(ProjectName=PROJECT, ModelVersion=version)
    description: dict[str, Any] = answer["ModelDescription"]
    return description


def _detect(
    client: Any, directory: DataDirectory, model: Mapping[str, Any], progress: Progress
) -> list[Found]:
    """Have the hosted model judge the images that training kept for the test."""
    manifest = directory.buckets / BUCKET / model["EvaluationManifest"]["Key"]
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    found = []
    for line in progress.track(lines, description="detecting"):
        ref = object_ref(line["source-ref"])
        assert ref is not None
        path = directory.buckets / ref.bucket / ref.key
        body = path.read_bytes()
        answer = client.detect_anomalies(
            ProjectName=PROJECT,
            ModelVersion=model["ModelVersion"],
            ContentType=media_type(body) or "image/jpeg",
            Body=body,
        )
        truth = Label(line["anomaly-label-metadata"]["class-name"])
        found.append(Found(path=path, truth=truth, answer=answer["DetectAnomalyResult"]))
    return found


def _worked(found: list[Found]) -> bool:
    """Say whether anomalies were told from normal images better than by saying one thing."""
    right = dict.fromkeys(Label, 0)
    for each in found:
        right[each.truth] += each.verdict is each.truth
    return all(right[label] for label in {each.truth for each in found})


def _table(found: list[Found]) -> Table:
    table = Table("image", "truth", "verdict", "confidence", title="Test images")
    for each in found:
        mark = "" if each.verdict is each.truth else "  [red]wrong[/red]"
        confidence = f"{each.answer['Confidence']:.2f}"
        table.add_row(each.path.name, each.truth, f"{each.verdict}{mark}", confidence)
    return table


def _summary(found: list[Found], model: Mapping[str, Any]) -> str:
    right = sum(each.verdict is each.truth for each in found)
    measured = model["Performance"]
    return (
        f"{right} of {len(found)} right. Measured by training: F1 {measured['F1Score']:.2f}, "
        f"precision {measured['Precision']:.2f}, recall {measured['Recall']:.2f}."
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
