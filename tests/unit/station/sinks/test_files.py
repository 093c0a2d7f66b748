from __future__ import annotations

import csv
import json
import resource
from pathlib import Path

import pytest

from blemish.station.config_table import ConfigTable
from blemish.station.errors import SinkError
from blemish.station.sinks.files import build_csv_sink, build_json_lines_sink
from blemish.station.sinks.sink import Sink
from blemish.station.verdict import Verdict
from tests.unit.station.verdicts import verdict


def json_lines(path: Path, *, daily: bool = False) -> Sink:
    return build_json_lines_sink("log", ConfigTable({"path": str(path), "daily": daily}, name="t"))


def csv_file(path: Path) -> Sink:
    return build_csv_sink("log", ConfigTable({"path": str(path)}, name="t"))


def verdicts_in(path: Path) -> list[Verdict]:
    return [Verdict.from_json(json.loads(line)) for line in path.read_text().splitlines()]


def test_each_verdict_is_a_line_of_json(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "verdicts.jsonl"
    sink = json_lines(path)

    sink.deliver(verdict(1))
    sink.deliver(verdict(2))

    assert verdicts_in(path) == [verdict(1), verdict(2)]


def test_a_line_that_a_kill_tore_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.jsonl"
    json_lines(path).deliver(verdict(1))
    whole = path.read_bytes()
    path.write_bytes(whole + b"x" * 200_000)

    json_lines(path).deliver(verdict(2))

    assert verdicts_in(path) == [verdict(1), verdict(2)]


def test_a_day_has_a_file(tmp_path: Path) -> None:
    sink = json_lines(tmp_path / "verdicts.jsonl", daily=True)

    sink.deliver(verdict(1))
    sink.deliver(verdict(2))

    assert verdicts_in(tmp_path / "verdicts-2026-01-02.jsonl") == [verdict(1)]
    assert verdicts_in(tmp_path / "verdicts-2026-01-03.jsonl") == [verdict(2)]


def test_a_file_that_was_moved_away_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.jsonl"
    sink = json_lines(path)
    sink.deliver(verdict(1))
    path.rename(tmp_path / "old.jsonl")

    sink.deliver(verdict(2))

    assert verdicts_in(tmp_path / "old.jsonl") == [verdict(1)]
    assert verdicts_in(path) == [verdict(2)]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.jsonl"
    path.mkdir()

    with pytest.raises(SinkError, match=r"verdicts\.jsonl cannot be written: Is a directory"):
        json_lines(path).deliver(verdict())


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.jsonl"
    sink = json_lines(path)
    sink.deliver(verdict(1))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, limits[1]))

    try:
        with pytest.raises(SinkError, match="cannot be written: File too large"):
            sink.deliver(verdict(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert verdicts_in(path) == [verdict(1)]
    sink.deliver(verdict(2))

    assert verdicts_in(path) == [verdict(1), verdict(2)]


def test_csv_has_a_header_and_columns(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.csv"
    csv_file(path).deliver(verdict(1, image_name='a "plate", of\ntwo lines'))
    csv_file(path).deliver(verdict(2, is_anomalous=False, anomalies=(), image_path=None))

    with path.open(newline="") as file:
        first, second = csv.DictReader(file)

    assert (first["id"], first["verdict"], first["score"]) == ("0001", "NOT OK", "1.25")
    assert first["image_name"] == 'a "plate", of\\ntwo lines'
    assert first["anomalies"] == "stain 0.250000"
    assert (second["verdict"], second["anomalies"], second["image_path"]) == ("OK", "", "")
