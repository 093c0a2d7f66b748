"""A line of the server at a rate, watched in a browser.

    python -m benchmarks.line [--seconds 600] [--rate 10] [--results FILE.json]

Images of the sample product come into a watched folder. The browser notes, by its own clock, how
long after the verdict the page has painted it. It fails if an image has no verdict or two, if the
memory of the server or of the line's process grows, or if the page needs more than 100 ms in the
median. What an image costs the processor stands beside the bare graph, and how long the line took
beside the images: a rate above what the machine can compute shows there.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

from playwright.sync_api import Page, sync_playwright

from benchmarks.detection import Bare
from benchmarks.surroundings import ROOT
from blemish.server.stores import bundles_of
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from tests.acceptance.product import PROJECT, host, images, train_into
from tests.acceptance.served import ServedDirectory
from tests.console.conftest import CHROMIUM, FLAGS
from tests.console.watched import WIDE, Watched

GOAL_MS = 100.0
GROWTH_MIB = 24.0
"""Of the memory after a fifth of the time: what caches and the allocator still take."""

PATIENCE_S = 120.0
SETTINGS = """
[model]
project = "{project}"
version = "1"

[[source]]
type = "folder"
name = "in"
when_busy = "never-drop"
path = "{folder}/in"
settle_s = 0.0

[[sink]]
type = "json-lines"
name = "out"
path = "{folder}/verdicts.jsonl"
"""
WATCH = """() => {
  window.delays = {};
  new MutationObserver(() => {
    const { judgedAt, shown } = document.body.dataset;
    if (!(shown in window.delays))
      requestAnimationFrame(() => (window.delays[shown] ??= Date.now() - Date.parse(judgedAt)));
  }).observe(document.body, { attributes: true, attributeFilter: ["data-shown"] });
}"""
GRAPH_ROUNDS = 20


@dataclass(frozen=True, kw_only=True)
class Options:
    """How long, how fast, and with which model."""

    seconds: float
    #: images a second
    rate: float
    #: a data directory that has the model; None to train one
    trained: Path | None


@dataclass(frozen=True, kw_only=True)
class LineFigures:
    """What a run came to."""

    seconds: float
    images: int
    verdicts: int
    distinct: int
    #: of all parts that the page showed
    shown: int
    median_ms: float
    p95_ms: float
    longest_ms: float
    #: after the last image came, until all had verdicts
    late_s: float
    #: of the processor, for one image
    server_cpu_ms: float
    process_cpu_ms: float
    graph_cpu_ms: float
    #: of the server and the process, to the bare graph
    cpu_over_graph: float
    server_mib: tuple[float, float]
    process_mib: tuple[float, float]
    #: of the machine, at the end
    load: float

    def problems(self) -> list[str]:
        """Return what is missed."""
        problems = []
        if not self.images == self.verdicts == self.distinct:
            problems.append(f"{self.images} images have {self.verdicts} verdicts")
        if self.median_ms > GOAL_MS:
            problems.append(f"the page shows a verdict after {self.median_ms:.0f} ms")
        for name, (early, late) in (("server", self.server_mib), ("line", self.process_mib)):
            if late - early > GROWTH_MIB:
                problems.append(f"the {name} grew from {early:.0f} to {late:.0f} MiB")
        return problems


def memory_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_s(pid: int) -> float:
    """Return the time that a process had a processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def graph_cpu_ms(data: Path) -> float:
    """Return the time of a processor that decoding and the bare graph take for one image."""
    with closing(sqlite3.connect(data / "blemish.db")) as database:
        ((bundle,),) = database.execute("SELECT bundle FROM models WHERE version = 1")
    bundles = bundles_of(Settings(data_dir=data), DataDirectory(data))
    bare = Bare(bundles.read(bundle).model)
    spent_ms = []
    with NamedTemporaryFile(suffix=".jpg") as file:
        Path(file.name).write_bytes(images()[0][1])
        for _ in range(GRAPH_ROUNDS):
            began = time.process_time()
            bare.detect(Path(file.name))
            spent_ms.append(1000 * (time.process_time() - began))
    return statistics.median(spent_ms)


def child_of(pid: int) -> int:
    """Return the process of the line."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    names = " ".join(path.read_text() for path in children).split()
    lines = [n for n in names if b"blemish.line" in Path(f"/proc/{n}/cmdline").read_bytes()]
    return int(lines[0])


def send_images(folder: Path, *, begin: int, count: int, rate: float) -> None:
    """Write images at a rate, each at once as a whole."""
    began = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        hidden = folder / f".{begin + number:06}.jpg"
        hidden.write_bytes(images()[number % len(images())][1])
        hidden.rename(folder / f"{begin + number:06}.jpg")


def verdict_ids(file: Path, *, wanted: int) -> list[str]:
    """Wait until as many verdicts are there, or no more come, and return their ids."""
    number, deadline = 0, time.monotonic() + PATIENCE_S
    while True:
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) > number:
            number, deadline = len(lines), time.monotonic() + PATIENCE_S
        if number >= wanted or time.monotonic() > deadline:
            return [str(json.loads(line)["id"]) for line in lines]
        time.sleep(0.5)


def measure(folder: Path, page: Page, served: ServedDirectory, options: Options) -> LineFigures:
    """Let images go by while a page watches."""
    assert served.process is not None
    pids = served.process.pid, child_of(served.process.pid)
    page.evaluate(WATCH)
    count = int(options.seconds * options.rate)
    spent_s = [-cpu_s(pid) for pid in pids]
    send_images(folder / "in", begin=0, count=count // 5, rate=options.rate)
    early_mib = [memory_mib(pid) for pid in pids]
    send_images(folder / "in", begin=count // 5, count=count - count // 5, rate=options.rate)
    sent_s = time.monotonic()
    ids = verdict_ids(folder / "verdicts.jsonl", wanted=count)
    late_s = time.monotonic() - sent_s
    time.sleep(1)
    server_ms, process_ms = (
        1000 * (spent + cpu_s(pid)) / count for spent, pid in zip(spent_s, pids, strict=True)
    )
    (server_mib, process_mib) = (
        (round(early, 1), round(memory_mib(pid), 1))
        for early, pid in zip(early_mib, pids, strict=True)
    )
    delays = sorted(page.evaluate("() => Object.values(window.delays)"))
    graph_ms = graph_cpu_ms(served.folder)
    return LineFigures(
        seconds=options.seconds,
        images=count,
        verdicts=len(ids),
        distinct=len(set(ids)),
        shown=len(delays),
        median_ms=statistics.median(delays),
        p95_ms=delays[int(0.95 * len(delays))],
        longest_ms=delays[-1],
        late_s=round(late_s, 1),
        server_cpu_ms=round(server_ms, 1),
        process_cpu_ms=round(process_ms, 1),
        graph_cpu_ms=round(graph_ms, 1),
        cpu_over_graph=round((server_ms + process_ms) / graph_ms, 2),
        server_mib=server_mib,
        process_mib=process_mib,
        load=round(os.getloadavg()[0], 1),
    )


def run(folder: Path, options: Options) -> LineFigures:
    """Train a model, run a line with it, and watch it."""
    data = folder / "data"
    if options.trained is None:
        train_into(data)
    served = ServedDirectory(data, environment={}, content=options.trained)
    (folder / "in").mkdir()
    (data / "lines" / "bench").mkdir(parents=True)
    settings = SETTINGS.format(project=PROJECT, folder=folder)
    (data / "lines" / "bench" / "line.toml").write_text(settings)
    served.start()
    try:
        host(served.client())
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            watched = Watched(browser, served, size=WIDE)
            watched.context.set_default_timeout(1_000 * PATIENCE_S)
            watched.sign_in()
            watched.page.goto(f"{watched.root}/line/bench")
            watched.page.wait_for_function(
                "() => document.querySelector('#images').textContent === '0'"
            )
            figures = measure(folder, watched.page, served, options)
            browser.close()
            return figures
    finally:
        served.end()


def main() -> int:
    """Run and print the figures; return 1 if something is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--trained", type=Path, help="a data directory with a model, to be copied")
    parser.add_argument(
        "--results", type=Path, default=ROOT / "benchmarks" / "results" / "line.json"
    )
    arguments = parser.parse_args()
    options = Options(seconds=arguments.seconds, rate=arguments.rate, trained=arguments.trained)
    with TemporaryDirectory() as name:
        figures = run(Path(name), options)
    text = json.dumps(asdict(figures), indent=2)
    print(text)
    arguments.results.parent.mkdir(exist_ok=True)
    arguments.results.write_text(text + "\n")
    for problem in figures.problems():
        print(f"MISSED: {problem}")
    return 1 if figures.problems() else 0


if __name__ == "__main__":
    raise SystemExit(main())
