"""The page of all metrics, from what a server answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def metrics_page(metrics: Sequence[dict[str, Any]]) -> str:
    """Return every metric with its kind, its labels and its meaning."""
    rows = "\n".join(
        f"| `{metric['name']}` | {metric['kind']} "
        f"| {', '.join(f'`{label}`' for label in metric['labels'])} | {metric['text']} |"
        for metric in metrics
    )
    return f"""# Metrics

A server answers `/metrics` with these, in Prometheus's text format.
[Monitoring](../guide/monitoring.md#metrics) says who may read them, and what they are called in
Amazon CloudWatch. The list was recorded from a server with one hosted model. The metrics of the
process, `process_...` and `python_...`, are not listed.

| metric | kind | labels | meaning |
|---|---|---|---|
{rows}
"""
