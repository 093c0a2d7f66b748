from __future__ import annotations

import re

from botocore.loaders import Loader

from tests.unit.test_docs import names_of, page, rows


def test_every_operation_of_the_original_is_in_the_table_once() -> None:
    operations = Loader().load_service_model("lookoutvision", "service-2")["operations"]

    cells = ", ".join(row[0] for row in rows(page("moving.md"), "operation"))

    assert sorted(re.findall(r"\w+", cells)) == sorted(operations)


def test_every_metric_of_cloudwatch_has_its_counterpart() -> None:
    metrics = rows(page("monitoring.md"), "metric")
    known = {row[2]: names_of(row[0]) for row in metrics if not row[2].startswith("|")}

    table = rows(page("moving.md"), "CloudWatch metric in `AWS/LookoutVision`")

    assert {row[0]: names_of(row[1]) for row in table} == known
