"""The generated pages of the reference: `python -m documentation.reference` writes them.

With `--record`, the examples are recorded anew first, from a real server; that takes minutes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from blemish.api.service_model import service_model
from documentation.commands_page import commands_page
from documentation.metrics_page import metrics_page
from documentation.operation_pages import operation_pages
from documentation.settings_page import settings_page

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
EXAMPLES = REFERENCE / "examples.json"

NOTE = "<!-- Generated: change documentation/, then run python -m documentation.reference -->\n\n"


def stored_examples() -> dict[str, Any]:
    """Return the examples that were recorded last."""
    examples: dict[str, Any] = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    return examples


def reference_pages(examples: dict[str, Any]) -> dict[str, str]:
    """Return the text of each generated page, by its path below docs/reference."""
    operations = operation_pages(service_model(), examples["operations"])
    pages = {f"api/{name}": text for name, text in operations.items()} | {
        "settings.md": settings_page(),
        "commands.md": commands_page(),
        "metrics.md": metrics_page(examples["metrics"]),
    }
    return {name: NOTE + text for name, text in pages.items()}


def write_reference() -> None:
    """Write every generated page, and remove those of operations that are gone."""
    for path in (REFERENCE / "api").glob("*.md"):
        path.unlink()
    for name, text in reference_pages(stored_examples()).items():
        path = REFERENCE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if "--record" in sys.argv:
        from documentation.examples import record_examples

        text = json.dumps(record_examples(), indent=2) + "\n"
        EXAMPLES.parent.mkdir(parents=True, exist_ok=True)
        EXAMPLES.write_text(text, encoding="utf-8")
    write_reference()
