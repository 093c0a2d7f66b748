"""Readers of files in which any value is another one: they read them, or say what is wrong."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.interchange.drafts import draft_entries, read_dataset
from blemish.interchange.files import DatasetFiles
from blemish.interchange.labelled import InterchangeError
from tests.unit.interchange.folders import png
from tests.unit.interchange.test_formats import FOLDERS

WRONG: tuple[Any, ...] = (
    *(None, True, "", "x", "../x", "\x00", "1e400", "nan", -1, 0, 1, 1e308, 10**30, 2.5),
    *([], [[]], [None], [1, 2, 3], {}, {"a": {}}, "good", 255),
)
FORMATS = ("coco", "labelme", "label-studio", "cvat", "voc", "yolo")

IMAGE = png()


class MemoryFiles:
    """Files in memory."""

    name = "memory"

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def paths(self) -> list[str]:
        return list(self._files)

    def read(self, path: str, max_bytes: int) -> bytes:
        return self._files[path][:max_bytes]


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values inside a value."""
    if isinstance(value, dict):
        children = list(value.items())
    else:
        children = list(enumerate(value)) if isinstance(value, list) else []
    return [
        place for key, child in children for place in ((*path, key), *paths_in(child, (*path, key)))
    ]


@st.composite
def damaged(draw: st.DrawFn, name: str) -> dict[str, bytes]:
    """Draw the files of a folder with up to three wrong values, or cut or changed texts."""
    files: dict[str, bytes] = {}
    for path, content in FOLDERS[name].items():
        if content is None:
            files[path] = IMAGE
        elif isinstance(content, bytes):
            files[path] = content
        elif isinstance(content, str):
            files[path] = draw_text(draw, content).encode(errors="surrogatepass")
        else:
            changed = copy.deepcopy(content)
            for place in draw(st.lists(st.sampled_from(paths_in(changed)), max_size=3)):
                put(changed, place, copy.deepcopy(draw(st.sampled_from(WRONG))))
            files[path] = json.dumps(changed).encode()
    return files


def draw_text(draw: st.DrawFn, text: str) -> str:
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 12)))
    wrong = draw(
        st.sampled_from(["", "9" * 40, "-", "nan", "<", "&x;", ";;,", "\x00", " a: &b [*b]"])
    )
    return text[:start] + wrong + text[end:]


def put(value: Any, place: tuple[Any, ...], wrong: Any) -> None:
    try:
        for key in place[:-1]:
            value = value[key]
        value[place[-1]] = wrong
    except (KeyError, IndexError, TypeError):
        return  # a former change removed it


@pytest.mark.parametrize("name", FORMATS)
@settings(deadline=None)
@given(data=st.data())
def test_a_reader_reads_it_or_says_what_is_wrong(name: str, data: st.DataObject) -> None:
    files = DatasetFiles(MemoryFiles(data.draw(damaged(name))))

    with TemporaryDirectory() as folder, suppress(InterchangeError):
        dataset = read_dataset(files, format_name=name)
        draft_entries(files, dataset, folder=Path(folder))
