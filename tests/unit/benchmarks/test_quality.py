from __future__ import annotations

from pathlib import Path

from benchmarks.quality import append_record, digest, read_records


def test_finished_trials_are_read_back(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"

    append_record(results, {"split": "0"})
    append_record(results, {"split": "1"})

    assert read_records(results) == [{"split": "0"}, {"split": "1"}]


def test_a_line_that_was_cut_off_costs_no_other(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    results.write_text('{"split": "0"}\n{"spl')

    append_record(results, {"split": "1"})

    assert read_records(results) == [{"split": "0"}, {"split": "1"}]


def test_nothing_is_finished_before_the_first_run(tmp_path: Path) -> None:
    assert read_records(tmp_path / "none.jsonl") == []


def test_the_version_changes_with_any_file(tmp_path: Path) -> None:
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    one.write_text("1")

    before = digest([one, other])
    other.write_text("2")

    assert digest([one, other]) != before
