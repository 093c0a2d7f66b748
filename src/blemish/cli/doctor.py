"""`blemish doctor`: prints what is wrong with an installation."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from blemish.doctor.examination import examine
from blemish.doctor.report import Level, without_secrets


def print_diagnosis(*, as_json: bool, **options: Any) -> bool:
    """Print the findings, without secrets; tell whether one is a problem."""
    settings = {name: value for name, value in options.items() if value is not None}
    diagnosis = examine(settings, environment=os.environ, now=datetime.now(UTC))
    text = diagnosis.as_json() if as_json else diagnosis.as_text()
    print(without_secrets(text, os.environ))  # noqa: T201
    return diagnosis.count(Level.PROBLEM) > 0
