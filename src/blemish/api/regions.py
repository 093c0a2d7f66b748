"""Listings for requests that are signed for another region than that of the server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any

from botocore import xform_name
from botocore.model import ListShape, ServiceModel

from blemish.wire.calls import Call
from blemish.wire.handlers import BoundHandler, bind_handlers


def listing_own_region(
    model: ServiceModel, groups: Iterable[object], *, region: str
) -> list[object]:
    """Return handlers whose listings are empty for requests that are signed for another region.

    A script that asks every region in turn then sees a model once.
    """
    objects = list(groups)
    listings = {
        xform_name(name): partial(
            _listing, handler, empty=_empty_output(model, name), region=region
        )
        for name, handler in bind_handlers(model, objects, complete=True).items()
        if name.startswith("List")
    }
    return [SimpleNamespace(**listings), *objects]


def _listing(
    handler: BoundHandler, *, empty: Mapping[str, Any], region: str, call: Call, **_: Any
) -> Mapping[str, Any]:
    assert call.caller is not None
    if call.caller.region != region:
        return empty
    output: Mapping[str, Any] = handler(call.members, call)
    return output


def _empty_output(model: ServiceModel, operation: str) -> dict[str, list[object]]:
    shape = model.operation_model(operation).output_shape
    members = shape.members.items() if shape else ()
    return {name: [] for name, member in members if isinstance(member, ListShape)}
