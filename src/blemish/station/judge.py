"""The judge: a component in this process, and the verdicts that it gives."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime

from blemish.edge.components import ComponentFolder, InstalledComponent
from blemish.edge.detection import LoadedComponent, load_component
from blemish.edge.errors import EdgeError
from blemish.engine.errors import EngineError
from blemish.engine.images.formats import ImageError
from blemish.engine.runtime import Detection
from blemish.station.config import StationModel
from blemish.station.errors import StationError, UnreadableError
from blemish.station.images import CapturedImage
from blemish.station.runner import JudgingModel
from blemish.station.verdict import Verdict, VerdictArea

logger = logging.getLogger(__name__)

REFRESH_S = 1.0
"""How often the judge looks for a new version of its component."""


class Judge:
    """Judges images by a component; one thread uses it."""

    def __init__(
        self,
        model: StationModel,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Load the component.

        Raises:
            StationError: it is not installed, or cannot be loaded.
        """
        self._folder = ComponentFolder(model.components)
        self._name = model.component
        self._now = now
        self._clock = clock
        try:
            self._component = self._folder.require(self._name)
            self._loaded = load_component(self._component)
        except (EdgeError, EngineError, OSError) as error:
            raise StationError(f"Component {self._name} cannot be loaded: {error}") from error
        self._next_look_s = clock() + REFRESH_S

    @property
    def component(self) -> InstalledComponent:
        """The component that judges now."""
        return self._component

    def judge(self, image: CapturedImage) -> tuple[Verdict, Detection]:
        """Judge an image.

        Raises:
            UnreadableError: it is damaged, or not of the size that the model was trained on.
        """
        self._refresh()
        try:
            detection = _detect(self._loaded, image)
        except (ImageError, EngineError) as error:
            raise UnreadableError(str(error)) from error
        verdict = verdict_of(image, detection, model=self._component, at=self._now())
        return verdict, detection

    def _refresh(self) -> None:
        """Take a new version of the component, if there is one that can be loaded."""
        if self._clock() < self._next_look_s:
            return
        self._next_look_s = self._clock() + REFRESH_S
        component = self._folder.components().get(self._name)
        if component is None or component.revision == self._component.revision:
            return
        try:
            self._loaded, self._component = load_component(component), component
            logger.info("component %s %s judges now", component.name, component.version)
        except (EdgeError, EngineError, OSError) as error:
            logger.warning(
                "component %s %s cannot be loaded, %s stays: %s",
                component.name,
                component.version,
                self._component.version,
                error,
            )


def verdict_of(
    image: CapturedImage, detection: Detection, *, model: JudgingModel, at: datetime
) -> Verdict:
    """Return the verdict of a model on an image, which no record stores yet."""
    return Verdict(
        id=image.id,
        time=at,
        source=image.source,
        image_name=image.name,
        is_anomalous=detection.is_anomalous,
        confidence=detection.confidence,
        score=detection.score,
        threshold=detection.threshold,
        component=model.name,
        component_version=model.version,
        anomalies=tuple(
            VerdictArea(name=area.name, share=area.share)
            for area in detection.anomalies or ()
            if area.name != "background"
        ),
        image_path=None,
        heat_map_path=None,
        mask_path=None,
    )


def _detect(component: LoadedComponent, image: CapturedImage) -> Detection:
    if isinstance(image.content, bytes):
        return component.detect_file(image.content)
    return component.detect_pixels(image.content)
