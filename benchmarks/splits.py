"""Splits of labelled images into a training and a test part that share no group.

Images of one group show the same piece, sheet or moment, so a detector that has seen one of them
knows the others. A split deals whole groups to two halves, each kind of image evenly. Pure: the
same images and seed give the same split, on any machine and with any version of any library.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import PurePath
from typing import NamedTuple

from blemish.domain.entities import Label

RUN_GAP = 300
"""Of `magnetic_tile`: ids that lie further apart show different tiles. One tile under six exposures
spans at most 290 ids, and three in four tiles lie further apart."""


class LabeledDigest(NamedTuple):
    """What a split needs to know of an image."""

    name: str
    label: Label
    digest: bytes


@dataclass(frozen=True, kw_only=True)
class Part:
    """Names of the images of one part, each list in an order drawn by the split's seed."""

    normal: tuple[str, ...]
    anomaly: tuple[str, ...]

    def capped(self, normal: int | None, anomaly: int | None) -> Part:
        """Return the first of each list; what a smaller cap keeps, a larger one keeps too."""
        return Part(normal=self.normal[:normal], anomaly=self.anomaly[:anomaly])


@dataclass(frozen=True, kw_only=True)
class Split:
    """A training and a test part."""

    train: Part
    test: Part


def groups_of(folder: str, images: Sequence[LabeledDigest]) -> list[tuple[str, str]]:
    """Return for each image its (kind, group); identical images share one.

    Args:
        folder: the set's name, which says how its files are named.
        images: of both given parts together.
    """
    if folder == "magnetic_tile":
        return _by_run([image.name for image in images])
    if folder.startswith("PA_"):
        keys = [re.findall(r"_(\d\d)_", image.name)[-1] for image in images]
        return [("sheet", key) for key in _merge(keys, [each.digest for each in images])]
    normal = {image.digest for image in images if image.label is Label.NORMAL}
    return [
        (Label.NORMAL if image.digest in normal else Label.ANOMALY, image.digest.hex())
        for image in images
    ]


def split_by_group(
    images: Sequence[LabeledDigest], groups: Sequence[tuple[str, str]], *, seed: int
) -> Split:
    """Deal the groups of each kind, in an order drawn by `seed`, to the half that has fewer."""
    members: dict[tuple[str, str], list[LabeledDigest]] = defaultdict(list)
    for image, group in zip(images, groups, strict=True):
        members[group].append(image)
    halves: tuple[list[LabeledDigest], list[LabeledDigest]] = ([], [])
    for kind in sorted({kind for kind, _ in members}):
        counts = [0, 0]
        its = ["/".join(group) for group in members if group[0] == kind]
        for name in shuffled(its, seed=seed):
            found = members[kind, name.removeprefix(f"{kind}/")]
            side = int(counts[1] < counts[0])
            halves[side].extend(found)
            counts[side] += len(found)
    return Split(train=part_of(halves[0], seed=seed), test=part_of(halves[1], seed=seed))


def part_of(images: Sequence[LabeledDigest], *, seed: int) -> Part:
    """Return the images' names, by label, in an order drawn by `seed`."""

    def named(label: Label) -> tuple[str, ...]:
        return shuffled((each.name for each in images if each.label is label), seed=seed)

    return Part(normal=named(Label.NORMAL), anomaly=named(Label.ANOMALY))


def shuffled(names: Iterable[str], *, seed: int) -> tuple[str, ...]:
    """Return names in an order that depends on the seed and the set of names alone."""
    return tuple(sorted(names, key=lambda name: sha256(f"{seed}/{name}".encode()).digest()))


def _by_run(names: Sequence[str]) -> list[tuple[str, str]]:
    """Group `TYPE_exp1_num_ID` by type and run of neighbouring ids."""
    ids = {}
    for name in names:
        kind, _, _, number = PurePath(name).stem.split("_")
        ids[name] = (kind, int(number))
    run, run_of = 0, {}
    ordered = sorted(set(ids.values()))
    for last, its in pairwise([ordered[0], *ordered]):
        run += its[0] != last[0] or its[1] - last[1] > RUN_GAP
        run_of[its] = run
    return [(ids[name][0], str(run_of[ids[name]])) for name in names]


def _merge(keys: Sequence[str], digests: Sequence[bytes]) -> list[str]:
    """Make one of groups that hold an identical image, named by the first."""
    first: dict[bytes, str] = {}
    name_of = {key: key for key in keys}
    for key, digest in zip(keys, digests, strict=True):
        one, other = sorted((name_of[key], name_of[first.setdefault(digest, key)]))
        name_of = {its: one if name == other else name for its, name in name_of.items()}
    return [name_of[key] for key in keys]
