"""Result lines that outlive an attempt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from blemish.service.detection.result_lines import LINES, ResultLines


def test_a_checkpoint_whose_lines_are_lost_begins_anew(tmp_path: Path) -> None:
    folder = tmp_path / "1"
    first = ResultLines(folder, origin="night", total=2)
    first.add("{}")
    first.keep(replace(first.counts, normal=1))
    first.close()

    (folder / LINES).unlink()

    again = ResultLines(folder, origin="night", total=2)
    assert (again.counts.normal, list(again)) == (0, [])
    again.close()
