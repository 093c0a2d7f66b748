from __future__ import annotations

import re
from pathlib import Path

CONSOLE = Path(__file__).parents[3] / "src" / "blemish" / "console"
DRAWN = {"language/numbers.py", "ui/moment.py", "projects/detection_chart.py"}
"""The element that browsers show by their own clock, and spans in the zone of the browser."""

FORMATTED = re.compile(r":%[Yd]|strftime|utc_text")


def test_no_page_writes_a_moment_that_is_not_by_the_clock_of_the_visitor() -> None:
    pages = {str(path.relative_to(CONSOLE)): path.read_text() for path in CONSOLE.rglob("*.py")}

    written = {name for name, text in pages.items() if FORMATTED.search(text)}

    assert written <= DRAWN
