"""The licences of what Blemish needs, in one text."""

from __future__ import annotations

from collections.abc import Sequence

from release.components import Component

_LINE = "=" * 78
_HEAD = """\
Blemish needs the packages below. They are not part of its distributions: pip installs
them beside it, each under its own licence, which this file repeats.
"""


def third_party_licences(components: Sequence[Component]) -> str:
    """Return the licence of each package, and the texts that come with it."""
    width = max(len(f"{component.name} {component.version}") for component in components)
    summary = "\n".join(
        f"{f'{component.name} {component.version}':<{width}}  {component.licence}"
        for component in components
    )
    return "\n".join([_HEAD, summary, *map(_section, components)])


def _section(component: Component) -> str:
    texts = [f"--- {name}\n\n{text.strip()}\n" for name, text in component.licence_texts.items()]
    if not texts:
        texts = ["The package comes with no text of its licence.\n"]
    title = f"{component.name} {component.version}: {component.licence}"
    return "\n".join([f"\n{_LINE}\n{title}\n{_LINE}\n", *texts])
