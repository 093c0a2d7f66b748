"""Two models of a project, image by image: different verdicts come first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nicegui import ui
from nicegui.events import GenericEventArguments

from blemish.console.images.named_trials import ModelTrial, start_trial
from blemish.console.language.messages import counted, later, say
from blemish.console.models.evaluation import (
    Cell,
    ComparedImage,
    EvaluatedImage,
    cell_counts,
    compared_images,
)
from blemish.console.models.image_layers import Faders, PreviewedModel, draw_image_layers
from blemish.console.models.model_actions import load_style
from blemish.console.models.model_data import (
    bundle_info,
    describe_model,
    previewed_model,
    read_evaluation,
)
from blemish.console.models.models_page import all_models
from blemish.console.models.rates import Rate
from blemish.console.models.shared_trials import (
    SharedImages,
    find_comparison,
    images_of_trial,
    shared_images,
)
from blemish.console.models.test_images import PART
from blemish.console.models.threshold_results import UNPAIRED, images_in_force
from blemish.console.models.verdicts import verdict_caption
from blemish.console.paths import project_path
from blemish.console.ui.busy import busy
from blemish.console.ui.frame import empty, frame, heading, labelled, link, page, text, visitor
from blemish.console.ui.permissions import permit
from blemish.console.ui.table import table
from blemish.domain.entities import DatasetType
from blemish.domain.errors import AccessDeniedError

DIFFERENT_TESTS = later(
    "They were tested on different images, so these numbers cannot be compared. "
    "Let both judge the same images."
)

NO_IMAGES = later("They cannot judge the same images now: no image of the project has a label.")
NO_BUNDLE = later(
    "Model {version} cannot judge images now: you may not read it, or its files are gone."
)

LEARNED = later(
    "There is no test set, so these are training images, which the models may "
    "have learned. Compare their verdicts rather than their rates."
)

POLL_S = 1.0

TRAIN = DatasetType.TRAIN

_VALUE = "(event) => emit(event.target.value)"


@page("/projects/{project}/compare", title=later("Compare"))
async def compare(project: str, a: str = "", b: str = "", part: int = 1) -> None:
    """Compare the models of two versions."""
    load_style()
    models = await all_models(project)
    versions = [model["ModelVersion"] for model in models if model.get("Performance")]
    with frame(say("Compare"), project=project, section="models"):
        heading(say("Compare two models"))
        if len(versions) < 2:
            with empty(
                say("There are not two models yet"), say("Two trained models can be compared here.")
            ):
                link(say("Train a model"), project_path(project, "/train"))
            return
        a, b = compared_versions(versions, a, b)
        _choices(project, versions, a, b)
        sides = [await _side(project, version) for version in (a, b)]
        together = await _together(project, sides)
        if together.is_through:
            sides = [
                replace(side, images=await _trial_images(project, trial, together), problem="")
                for side, trial in zip(sides, together.trials, strict=True)
            ]
        pairs = compared_images(sides[0].images, sides[1].images)
        _summary(sides, pairs, together)
        await _together_panel(project, sides, together)
        _images(project, sides, pairs, part)


def compared_versions(versions: Sequence[str], a: str, b: str) -> tuple[str, str]:
    """Return the two versions to compare, of all versions, newest first."""
    first = a if a in versions else next(v for v in versions[1:] if v != b)
    second = b if b in versions and b != first else next(v for v in versions if v != first)
    return first, second


@dataclass(frozen=True, kw_only=True)
class _Side:
    """One of the two models."""

    version: str
    #: its test images, with the verdicts of the threshold in force
    images: Sequence[EvaluatedImage]
    #: why there are none; empty if there are
    problem: str
    #: None if the visitor may not see its heat maps
    preview: PreviewedModel | None
    #: in force; None if it is not known
    threshold: float | None


@dataclass(frozen=True, kw_only=True)
class _Together:
    """The trials of both models on the same images."""

    images: SharedImages | None
    trials: Sequence[ModelTrial]
    #: why they cannot judge the same images; empty if they can
    problem: str = ""

    @property
    def is_through(self) -> bool:
        return bool(self.trials) and all(trial.succeeded for trial in self.trials)


async def _together(project: str, sides: Sequence[_Side]) -> _Together:
    try:
        images = await shared_images(visitor(), project)
        if images is None:
            return _Together(images=None, trials=(), problem=say(NO_IMAGES))
        trials = []
        for side in sides:
            if side.threshold is None:
                problem = say(NO_BUNDLE, version=side.version)
                return _Together(images=images, trials=(), problem=problem)
            trials.append(
                await find_comparison(
                    visitor(), project, side.version, threshold=side.threshold, images=images
                )
            )
    except AccessDeniedError as error:
        return _Together(images=None, trials=(), problem=error.message)
    return _Together(images=images, trials=trials)


async def _trial_images(
    project: str, trial: ModelTrial, together: _Together
) -> Sequence[EvaluatedImage]:
    assert together.images is not None
    return await images_of_trial(visitor(), project, trial, together.images)


async def _together_panel(project: str, sides: Sequence[_Side], together: _Together) -> None:
    """Draw the button that lets both models judge the same images, or why there is none."""
    images = together.images
    if images is None or together.problem:
        text(together.problem, tag="p", classes="quiet")
        return
    if together.is_through:
        return
    for trial in together.trials:
        if trial.problem:
            text(
                say("Model {version}: {problem}", version=trial.version, problem=trial.problem),
                tag="p",
                classes="problem",
            )
    if any(trial.runs for trial in together.trials):
        _progress(project, sides, together)
        return
    source = say("test set") if images.kind is DatasetType.TEST else say("training set")
    first = say("the first ") if images.cut else ""

    async def start() -> None:
        with busy(button):
            for trial in together.trials:
                await start_trial(visitor(), project, trial, images.refs)
        ui.navigate.reload()

    with ui.element("div").classes("line"):
        words = say(
            "Let both judge {first}{number} of the {source} now",
            first=first,
            number=counted(len(images.refs), "{count} image", "{count} images"),
            source=source,
        )
        button = ui.button(words, on_click=start)
        await permit(visitor(), button, "StartTrialDetection", ProjectName=project)


def _progress(project: str, sides: Sequence[_Side], together: _Together) -> None:
    """Draw how far the trials are, and load the page anew when both are through."""
    assert together.images is not None
    total = 2 * len(together.images.refs)
    with ui.element("div").classes("line"):
        words = ui.label().props("role=status")
        bar = labelled(ui.element("progress").props(f"value=0 max={total}"), say("Verdicts"))

    async def look() -> None:
        trials = (await _together(project, sides)).trials
        if not any(trial.runs for trial in trials):
            ui.navigate.reload()
            return
        done = sum(trial.done for trial in trials)
        words.text = say("{done} of {total} verdicts are there.", done=done, total=total)
        bar.props(f"value={done}")

    ui.timer(POLL_S, look)


async def _side(project: str, version: str) -> _Side:
    model = await describe_model(visitor(), project, version)
    info = await bundle_info(visitor(), project, model)
    files = await read_evaluation(visitor(), model)
    images = images_in_force(files.images, info)
    return _Side(
        version=version,
        images=images or (),
        problem=say(UNPAIRED) if images is None else files.problem,
        preview=await previewed_model(visitor(), project, version),
        threshold=info.threshold if info else None,
    )


def _choices(project: str, versions: Sequence[str], a: str, b: str) -> None:
    with ui.element("div").classes("line"):
        for title, selected, other, first in (
            (say("Model A"), a, b, True),
            (say("Model B"), b, a, False),
        ):
            with ui.element("label").classes("line"):
                text(title)
                choice = labelled(ui.element("select").classes("choice"), title)
            with choice:
                for version in versions:
                    option = text(say("Model {version}", version=version), tag="option").props(
                        f"value={version}"
                    )
                    if version == selected:
                        option.props("selected")

            def go(event: GenericEventArguments, other: str = other, first: bool = first) -> None:
                now = (event.args, other) if first else (other, event.args)
                ui.navigate.to(project_path(project, f"/compare?a={now[0]}&b={now[1]}"))

            choice.on("change", go, js_handler=_VALUE)


def _summary(sides: Sequence[_Side], pairs: Sequence[ComparedImage], together: _Together) -> None:
    """Draw the results of both on the images that both were tested on."""
    a, b = sides
    rows = [
        _result_row(say("A: model {version}", version=a.version), [pair.a for pair in pairs]),
        _result_row(say("B: model {version}", version=b.version), [pair.b for pair in pairs]),
    ]
    with ui.element("section").classes("panel"):
        if pairs:
            table(
                (
                    "",
                    say("Anomalies found"),
                    say("Alarms right"),
                    say("False alarms"),
                    say("Right verdicts"),
                ),
                rows,
            )
            text(_measured_on(pairs, together), tag="p", classes="quiet")
            if together.is_through and together.images and together.images.kind is TRAIN:
                text(say(LEARNED), tag="p", classes="warning")
        elif a.images and b.images:
            text(say(DIFFERENT_TESTS), tag="p", classes="problem")
        for side in sides:
            if side.problem:
                text(
                    say("Model {version}: {problem}", version=side.version, problem=side.problem),
                    tag="p",
                    classes="problem",
                )


def _measured_on(pairs: Sequence[ComparedImage], together: _Together) -> str:
    count = counted(len(pairs), "{count} image", "{count} images")
    if together.is_through and together.images is not None:
        source = say("training set") if together.images.kind is TRAIN else say("test set")
        return say(
            "On {number} of the {source}, which both judged at the thresholds in force.",
            number=count,
            source=source,
        )
    return say(
        "On the {number} that both were tested on, at the thresholds in force.", number=count
    )


def _result_row(title: str, images: Sequence[EvaluatedImage]) -> tuple[str, ...]:
    counts = cell_counts(images)
    detected, missed = counts[Cell.DETECTED], counts[Cell.MISSED]
    alarms, passed = counts[Cell.FALSE_ALARM], counts[Cell.PASSED]
    rates = (
        Rate(count=detected, total=detected + missed),
        Rate(count=detected, total=detected + alarms),
        Rate(count=alarms, total=alarms + passed),
        Rate(count=detected + passed, total=len(images)),
    )
    return (title, *(rate.text for rate in rates))


def _images(
    project: str, sides: Sequence[_Side], pairs: Sequence[ComparedImage], part: int
) -> None:
    a, b = sides
    differing = sum(pair.differs for pair in pairs)
    alone = len(a.images) + len(b.images) - 2 * len(pairs)
    with ui.element("div").classes("head"):
        heading(say("Image by image"), 2)
        ui.element("div").classes("room")
        Faders(mask=any(side.preview is not None and side.preview.mask for side in sides)).draw()
    summary = say(
        "{pairs} images that both judged; verdicts differ at {differing}.",
        pairs=len(pairs),
        differing=differing,
    )
    if alone:
        summary += say(" {alone} more were judged by only one of them.", alone=alone)
    text(summary, tag="p", classes="quiet")
    parts = max(1, -(-len(pairs) // PART))
    part = min(max(1, part), parts)
    with ui.element("div").classes("pairs"):
        for pair in pairs[(part - 1) * PART : part * PART]:
            _pair(pair, a, b)
    if parts > 1:
        with labelled(ui.element("nav").classes("line"), say("Pages of images")):
            for name, to in ((say("Previous"), part - 1), (say("Next"), part + 1)):
                if 1 <= to <= parts:
                    query = f"/compare?a={a.version}&b={b.version}&part={to}"
                    link(name, project_path(project, query))
            text(say("Page {part} of {parts}", part=part, parts=parts), classes="quiet")


def _pair(pair: ComparedImage, a: _Side, b: _Side) -> None:
    look = "pair differs" if pair.differs else "pair"
    with ui.element("article").classes(look):
        text(pair.a.name, tag="h3", classes="name")
        with ui.element("div").classes("sides"):
            for letter, side, image in (("A", a, pair.a), ("B", b, pair.b)):
                with ui.element("figure"):
                    draw_image_layers(
                        image.ref,
                        say("{name}, model {version}", name=image.name, version=side.version),
                        model=side.preview,
                    )
                    text(
                        say("{letter}: model {version}", letter=letter, version=side.version),
                        classes="quiet",
                    )
                    verdict_caption(image, name=False)
