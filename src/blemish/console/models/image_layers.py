"""An image with the heat map and the mask of a model over it, which sliders fade."""

from __future__ import annotations

from dataclasses import dataclass

from nicegui import ui
from nicegui.events import GenericEventArguments

from blemish.console.images.image_requests import image_url, thumbnail_url
from blemish.console.language.messages import say
from blemish.console.models.preview_requests import heat_map_url, mask_url
from blemish.console.ui.frame import text

FADE = "(event) => document.documentElement.style.setProperty('--NAME', event.target.value / 100)"
_VALUE = "(event) => emit(Number(event.target.value))"


@dataclass(frozen=True, kw_only=True)
class PreviewedModel:
    """The model whose heat maps and masks are shown."""

    project: str
    version: str
    #: in force
    threshold: float
    #: whether it makes masks
    mask: bool


class Faders:
    """The sliders of a page: they fade all of its images, without asking the server."""

    def __init__(self, *, mask: bool) -> None:
        self._values = {"heat": 100, "mask": 0}
        self._drawn: list[tuple[str, ui.element]] = []
        self._titles = {"heat": say("Heat map")} | ({"mask": say("Mask")} if mask else {})

    def draw(self) -> None:
        """Draw the sliders, once more in a dialog; they stand where people left them."""
        for name, title in self._titles.items():
            with ui.element("label").classes("fade"):
                text(title)
                slider = ui.element("input").props("type=range min=0 max=100")
                slider.props["value"] = self._values[name]
            self._drawn.append((name, slider))
            slider.on("input", js_handler=FADE.replace("NAME", name))
            slider.on("change", lambda event, name=name: self._left(name, event), js_handler=_VALUE)

    def _left(self, name: str, event: GenericEventArguments) -> None:
        """Remember a value: the framework resets a slider to the value that it knows."""
        self._values[name] = int(event.args)
        self._drawn = [(fader, slider) for fader, slider in self._drawn if not slider.is_deleted]
        for fader, slider in self._drawn:
            slider.props["value"] = self._values[fader]


def draw_image_layers(
    ref: str, name: str, *, model: PreviewedModel | None, large: bool = False, button: bool = False
) -> ui.element:
    """Draw an image with the heat map and the mask that a model makes of it.

    Args:
        ref: address of the image.
        name: its name, for people who do not see it.
        model: None draws the image alone.
        large: the image itself rather than its thumbnail.
        button: whether it can be pressed.
    """
    outer = ui.element("button" if button else "div").classes("layers")
    if button:
        outer.props("type=button").props["aria-label"] = say("Look at {name}", name=name)
    with outer:
        url = image_url(ref) if large else thumbnail_url(ref)
        _image(url, "" if button else name, lazy=not large)
        if model is not None:
            names = (model.project, model.version, ref)
            _image(heat_map_url(*names, threshold=model.threshold), "", "over heat")
            if model.mask:
                _image(mask_url(*names, threshold=model.threshold), "", "over mask")
    return outer


def _image(url: str, alternative: str, classes: str = "", *, lazy: bool = True) -> None:
    image = ui.element("img").classes(classes)
    image.props["src"] = url
    image.props["alt"] = alternative
    if lazy:
        image.props["loading"] = "lazy"
