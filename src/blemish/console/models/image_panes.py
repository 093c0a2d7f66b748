"""An image in panes: as it is labelled, and as a model sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from nicegui import ui
from nicegui.events import GenericEventArguments

from blemish.console.images.gallery_requests import mask_overlay_url
from blemish.console.images.image_requests import image_url
from blemish.console.language.messages import say
from blemish.console.models.image_cures import PlacedEntry
from blemish.console.models.image_layers import PreviewedModel
from blemish.console.models.preview_requests import heat_map_url, mask_url

Layer = Mapping[str, str]


class ImagePanes(ui.element, component="../static/image_panes.js"):
    """The panes, zoomed and moved together."""

    def __init__(self, on_step: Callable[[int], Awaitable[None]]) -> None:
        super().__init__()
        self.props["panes"] = []

        async def step(event: GenericEventArguments) -> None:
            await on_step(1 if event.args == 1 else -1)

        self.on("step", step)

    def show(
        self, ref: str, name: str, *, placed: PlacedEntry | None, model: PreviewedModel | None
    ) -> None:
        """Show another image.

        Args:
            ref: its address.
            name: what people call it.
            placed: its entry, whose mask lies on the first pane.
            model: whose heat map and mask lie on panes of their own; None leaves them out.
        """
        image = {"url": image_url(ref), "kind": "", "name": name}
        title = say("As it is labelled") if placed else say("The image")
        panes = [{"title": title, "layers": [image, *_label_layers(placed)]}]
        if model is not None:
            names = (model.project, model.version, ref)
            heat = {"url": heat_map_url(*names, threshold=model.threshold), "kind": "over heat"}
            panes.append(
                {
                    "title": say("Heat map of model {version}", version=model.version),
                    "layers": [image, heat],
                }
            )
            if model.mask:
                mask = {"url": mask_url(*names, threshold=model.threshold), "kind": "painted"}
                panes.append(
                    {
                        "title": say("Mask of model {version}", version=model.version),
                        "layers": [image, mask],
                    }
                )
        self.props["panes"] = panes
        self.update()


def _label_layers(placed: PlacedEntry | None) -> Sequence[Layer]:
    url = mask_overlay_url(placed.dataset, placed.entry, whole=True) if placed else ""
    return [{"url": url, "kind": "painted"}] if url else []
