"""What a bundle says of its training, for people at a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from blemish.engine.bundle import BundleInfo
from blemish.engine.training.selection_report import SelectionReport, selection_report


def print_model(info: BundleInfo) -> None:
    """Print how a detector came to be; what an older bundle does not say is left out."""
    console = Console(highlight=False)
    history = info.history
    table = Table(show_header=False, box=None)
    table.add_row("graph", f"{info.graph_size[0]} x {info.graph_size[1]} pixels")
    table.add_row("backbone", info.backbone)
    table.add_row("threshold", f"{info.threshold:.4g}{_moved(info)}")
    held_out = history["held_out_images"]
    table.add_row("held-out images", f"{held_out['normal']} normal, {held_out['anomaly']} anomaly")
    for name in ("image_auroc", "precision", "recall", "f1"):
        if held_out[name] is not None:
            table.add_row(name.replace("_", " "), f"{held_out[name]:.3f}")
    if types := info.anomaly_types:
        table.add_row("anomaly types", ", ".join(anomaly_type.name for anomaly_type in types))
    report = selection_report(info)
    if report:
        table.add_row("chosen", report.name)
        shares = (f"{name} {share:.2g}" for name, share in report.shares.items())
        table.add_row("made of", ", ".join(shares))
    console.print(table)
    if report and report.candidates:
        console.print()
        console.print(_candidates(report))
    for note in history["notes"]:
        console.print(note)


def _moved(info: BundleInfo) -> str:
    return "" if info.moved_from is None else f", moved from {info.moved_from:.4g}"


def _candidates(report: SelectionReport) -> Table:
    table = Table("candidate", "image AUROC", "standard error", "", box=None)
    for candidate in report.candidates:
        table.add_row(
            candidate.name,
            f"{candidate.image_auroc:.3f}",
            f"{candidate.standard_error:.3f}",
            "chosen" if candidate.is_selected else "",
        )
    return table
