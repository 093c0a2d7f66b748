"""The command line: `blemish serve`, `blemish backup`, `blemish demo` and the others."""

from __future__ import annotations

import gc
import shlex
from pathlib import Path
from typing import Annotated

import typer

from blemish.cli.backbone import backbone
from blemish.cli.datasets import datasets
from blemish.cli.exits import end, settings_of
from blemish.cli.keys import keys
from blemish.cli.kms import kms
from blemish.cli.models import models
from blemish.cli.server_options import (
    ProfileOption,
    S3ProfileOption,
    ServerDataDirOption,
    open_clients,
)
from blemish.cli.users import users
from blemish.domain.errors import ServiceError
from blemish.engine.errors import EngineError
from blemish.server.addresses import AddressError
from blemish.storage.data_directory import DirectoryBusyError
from blemish.storage.errors import StorageError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Find defects in images of products, behind the API of Amazon Lookout for Vision.",
)
sdk_model = typer.Typer(no_args_is_help=True, help="What newer AWS clients need to know the API.")
app.add_typer(sdk_model, name="sdk-model")
app.add_typer(backbone, name="backbone")
app.add_typer(datasets, name="datasets")
app.add_typer(keys, name="keys")
app.add_typer(models, name="models")
app.add_typer(users, name="users")
keys.add_typer(kms, name="kms")

DataDirOption = Annotated[Path | None, typer.Option(help="Folder of the server's data.")]
HostOption = Annotated[str | None, typer.Option(help="Address to listen on.")]
PortOption = Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")]
TlsCertOption = Annotated[
    Path | None,
    typer.Option(help="PEM file of the certificate, followed by those that signed it."),
]
TlsKeyOption = Annotated[Path | None, typer.Option(help="PEM file of its key.")]
InsecureOption = Annotated[
    bool | None,
    typer.Option("--insecure", help="Answer other machines without TLS."),
]
PassphraseFileOption = Annotated[
    Path | None,
    typer.Option(help="File of the passphrase of the keys; without it, the terminal is asked."),
]


@app.command()
def serve(
    *,
    data_dir: DataDirOption = None,
    host: HostOption = None,
    port: PortOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    insecure: InsecureOption = None,
) -> None:
    """Serve the API until a signal ends it; on loopback, unless you give a host."""
    gc.disable()  # imports make many objects and no garbage; `serve` enables it again
    from blemish.server.serve import run_server

    settings = settings_of(
        data_dir=data_dir,
        host=host,
        port=port,
        tls_cert=tls_cert,
        tls_key=tls_key,
        insecure=insecure,
    )
    try:
        run_server(settings)
    except (AddressError, EngineError) as error:
        end(f"{error}\nRun `blemish doctor` to see what else may be wrong.")
    except (DirectoryBusyError, StorageError, ValueError, OSError) as error:
        end(str(error))


@app.command()
def doctor(
    *,
    data_dir: DataDirOption = None,
    host: HostOption = None,
    port: PortOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at settings, machine, data and clients; say what is wrong and what to do."""
    from blemish.cli.doctor import print_diagnosis

    has_problem = print_diagnosis(data_dir=data_dir, host=host, port=port, as_json=as_json)
    raise typer.Exit(1 if has_problem else 0)


@app.command()
def backup(
    to: Annotated[Path, typer.Argument(help="File to write, or a folder to write it into.")],
    *,
    data_dir: DataDirOption = None,
    with_objects: Annotated[
        bool, typer.Option("--with-objects", help="Back up the buckets too.")
    ] = False,
    with_keys: Annotated[
        Path | None, typer.Option(help="File to write the keyring to, under a passphrase.")
    ] = None,
    passphrase_file: PassphraseFileOption = None,
) -> None:
    """Back up a data directory, also while a server runs on it."""
    from blemish.cli.audited import audited_command
    from blemish.cli.backup import back_up

    settings = settings_of(data_dir=data_dir)
    if with_objects and settings.s3_endpoint:
        end(f"--with-objects: the buckets are in {settings.s3_endpoint}; back them up there.")
    try:
        with audited_command(settings, "BackUp", To=to, WithKeys=with_keys):
            back_up(
                settings,
                to,
                with_objects=with_objects,
                with_keys=with_keys,
                passphrase_file=passphrase_file,
            )
    except StorageError as error:
        end(str(error))


@app.command()
def restore(
    archive: Annotated[Path, typer.Argument(metavar="FROM", help="File of the backup.")],
    *,
    data_dir: DataDirOption = None,
    with_keys: Annotated[
        Path | None, typer.Option(help="File of the keyring that was backed up with it.")
    ] = None,
    passphrase_file: PassphraseFileOption = None,
) -> None:
    """Put a backup into a data directory that is empty or does not exist yet."""
    from blemish.cli.audited import audited_command
    from blemish.cli.backup import restore_backup

    settings = settings_of(data_dir=data_dir)
    try:
        with audited_command(settings, "RestoreBackup", From=archive):
            restore_backup(
                archive,
                settings,
                with_keys=with_keys,
                passphrase_file=passphrase_file,
            )
    except (DirectoryBusyError, StorageError) as error:
        end(str(error))


@app.command()
def adopt(*, data_dir: DataDirOption = None) -> None:
    """Accept an older or another database in a data directory; nothing is deleted."""
    from blemish.cli.adopt import adopt_database
    from blemish.cli.audited import audited_command

    settings = settings_of(data_dir=data_dir)
    try:
        with audited_command(settings, "AdoptDatabase"):
            adopt_database(settings)
    except (DirectoryBusyError, StorageError) as error:
        end(str(error))


@app.command()
def demo(
    images: Annotated[
        Path | None, typer.Option(help="Your own images: normal/ and anomaly/ in a folder.")
    ] = None,
    data_dir: Annotated[Path, typer.Option(help="Folder of the demo's data.")] = Path(
        ".blemish-demo"
    ),
) -> None:
    """Watch a product being learned and its defects being found."""
    from blemish.demo.demo import DemoError, run_demo

    try:
        worked = run_demo(data_dir, images=images)
    except DemoError as error:
        end(str(error))
    raise typer.Exit(0 if worked else 1)


@app.command()
def export(
    project: Annotated[str, typer.Argument(help="Name of the project.")],
    version: Annotated[str, typer.Argument(help="Version of the model, or `latest`.")],
    *,
    to: Annotated[Path, typer.Option(help="Folder to make.")],
    data_dir: DataDirOption = None,
) -> None:
    """Write the bundle of a model as plain files, for use without a server."""
    from blemish.cli.audited import audited_command
    from blemish.cli.export import ExportError, export_bundle

    settings = settings_of(data_dir=data_dir)
    members = {"ProjectName": project, "ModelVersion": version, "To": to}
    try:
        with audited_command(settings, "DownloadModelBundle", **members):
            export_bundle(settings, project, version, to=to)
    except (ExportError, ServiceError, EngineError, StorageError, OSError) as error:
        end(str(error))
    print(f"Wrote {to}")  # noqa: T201


@app.command()
def sync(
    source: Annotated[str, typer.Argument(help="Bucket to copy, or a folder in it: s3://b/f.")],
    *,
    to_bucket: Annotated[
        str | None, typer.Option(help="Bucket of the server; of the same name by default.")
    ] = None,
    from_profile: Annotated[
        str | None, typer.Option(help="Profile of your AWS files for the source.")
    ] = None,
    from_endpoint_url: Annotated[
        str | None, typer.Option(help="Address of the source's S3; Amazon's by default.")
    ] = None,
    data_dir: ServerDataDirOption = None,
    profile: ProfileOption = None,
    s3_profile: S3ProfileOption = None,
) -> None:
    """Copy a bucket of Amazon or any other S3 into the server; repeat it to go on."""
    from rich.console import Console

    from blemish.cli.bucket_sync import THREADS, BucketEnd, bucket_and_prefix, sync_bucket
    from blemish.cli.connection import make_missing_bucket, other_s3_client

    with open_clients(data_dir, profile, s3_profile) as clients:
        bucket, prefix = bucket_and_prefix(source)
        other = other_s3_client(
            profile=from_profile, endpoint_url=from_endpoint_url, threads=THREADS
        )
        target = BucketEnd(s3=clients.s3, bucket=to_bucket or bucket)
        make_missing_bucket(clients.s3, target.bucket)
        report = sync_bucket(
            BucketEnd(s3=other, bucket=bucket), target, prefix=prefix, console=Console()
        )
    for sentence in report.sentences():
        print(sentence)  # noqa: T201
    raise typer.Exit(1 if report.problems else 0)


@app.command()
def compare_evaluation(
    old: Annotated[Path, typer.Argument(help="EvaluationResult of the old model, a JSON file.")],
    project: Annotated[str, typer.Argument(help="Name of the project here.")],
    version: Annotated[str, typer.Argument(help="Version of the model here, or `latest`.")],
    *,
    manifest: Annotated[
        Path | None,
        typer.Option(help="EvaluationManifest of the old model; beside the result by default."),
    ] = None,
    data_dir: ServerDataDirOption = None,
    profile: ProfileOption = None,
    s3_profile: S3ProfileOption = None,
) -> None:
    """Compare an old model's evaluation with that of a model here: metrics and images."""
    from rich.console import Console

    from blemish.cli.evaluation_comparison import (
        print_comparison,
        read_model_evaluation,
        read_old_evaluation,
    )

    with open_clients(data_dir, profile, s3_profile) as clients:
        before = read_old_evaluation(old, manifest)
        print_comparison(before, read_model_evaluation(clients, project, version), Console())


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def edge(context: typer.Context) -> None:
    """Run packaged models on a device: agent, install, list, remove, verify, detect."""
    from blemish.edge.commands import run_command

    run_command(["edge", *context.args])


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def station(context: typer.Context) -> None:
    """Judge images at a line by a packaged model, and hand verdicts on."""
    from blemish.station.commands import run_station_command

    run_station_command(["station", *context.args])


@sdk_model.command()
def install(
    to: Annotated[
        Path | None, typer.Option(help="Folder for AWS_DATA_PATH; ~/.aws/models by default.")
    ] = None,
) -> None:
    """Put the service model where boto3 and the AWS CLI look for models."""
    from blemish.cli.sdk_model import install_model

    folder = to or Path.home() / ".aws" / "models"
    try:
        print(f"Installed {install_model(folder)}")  # noqa: T201
    except OSError as error:
        end(f"{error.filename} cannot be written ({error.strerror}).")
    if to:
        print(f"export AWS_DATA_PATH={shlex.quote(str(folder.absolute()))}")  # noqa: T201


if __name__ == "__main__":
    app()
