"""A picture with the heat map and the mask of a model over it, which sliders fade."""

from __future__ import annotations

from dataclasses import dataclass

from nicegui import ui

from blemish.console.pictures import picture_url, thumbnail_url
from blemish.console.previews import heat_map_url, mask_url

FADE = "(event) => document.documentElement.style.setProperty('--{name}', event.target.value / 100)"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The model whose view of pictures is shown."""

    project: str
    version: str
    #: in force
    threshold: float
    #: whether it makes masks
    mask: bool


def faders(*, mask: bool) -> None:
    """Draw the sliders; they fade all pictures of the page, without asking the server."""
    _fader("Heat map", "heat", 70)
    if mask:
        _fader("Mask", "mask", 0)


def layers(
    ref: str, name: str, *, model: Seen | None, large: bool = False, button: bool = False
) -> ui.element:
    """Draw a picture with what a model sees in it.

    Args:
        ref: address of the picture.
        name: what it is called, in words for those who do not see it.
        model: whose heat map and mask lie over it; None for the picture alone.
        large: the picture itself rather than its thumbnail.
        button: whether it can be pressed.
    """
    outer = ui.element("button" if button else "div").classes("layers")
    if button:
        outer.props("type=button").props["aria-label"] = f"Look at {name}"
    with outer:
        url = picture_url(ref) if large else thumbnail_url(ref)
        _image(url, "" if button else name, lazy=not large)
        if model is not None:
            where = (model.project, model.version, ref)
            _image(heat_map_url(*where, threshold=model.threshold), "", "over heat")
            if model.mask:
                _image(mask_url(*where, threshold=model.threshold), "", "over mask")
    return outer


def _image(url: str, told: str, classes: str = "", *, lazy: bool = True) -> None:
    image = ui.element("img").classes(classes)
    image.props["src"] = url
    image.props["alt"] = told
    if lazy:
        image.props["loading"] = "lazy"


def _fader(told: str, name: str, value: int) -> None:
    with ui.element("label").classes("fade"):
        ui.html(told, sanitize=False, tag="span")
        slider = ui.element("input").props(f"type=range min=0 max=100 value={value}")
        slider.on("input", js_handler=FADE.format(name=name))
