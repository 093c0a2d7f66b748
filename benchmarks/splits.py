"""Splits of labelled pictures into a training and a test part that share no group.

Pictures of one group show the same piece, sheet or moment, so a detector that has seen one of them
knows the others. A split deals whole groups to two halves, each kind of picture evenly. Pure: the
same pictures and seed give the same split, on any machine and with any version of any library.
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


class Picture(NamedTuple):
    """What a split needs to know of a picture."""

    name: str
    label: Label
    digest: bytes


@dataclass(frozen=True, kw_only=True)
class Part:
    """Names of the pictures of one part, each list in an order drawn by the split's seed."""

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


def groups_of(folder: str, pictures: Sequence[Picture]) -> list[tuple[str, str]]:
    """Return for each picture its (kind, group); identical pictures share one.

    Args:
        folder: the set's name, which says how its files are named.
        pictures: of both given parts together.
    """
    if folder == "magnetic_tile":
        return _by_run([picture.name for picture in pictures])
    if folder.startswith("PA_"):
        keys = [re.findall(r"_(\d\d)_", picture.name)[-1] for picture in pictures]
        return [("sheet", key) for key in _merge(keys, [each.digest for each in pictures])]
    normal = {picture.digest for picture in pictures if picture.label is Label.NORMAL}
    return [
        (Label.NORMAL if picture.digest in normal else Label.ANOMALY, picture.digest.hex())
        for picture in pictures
    ]


def split_by_group(
    pictures: Sequence[Picture], groups: Sequence[tuple[str, str]], *, seed: int
) -> Split:
    """Deal the groups of each kind, in an order drawn by `seed`, to the half that has fewer."""
    members: dict[tuple[str, str], list[Picture]] = defaultdict(list)
    for picture, group in zip(pictures, groups, strict=True):
        members[group].append(picture)
    halves: tuple[list[Picture], list[Picture]] = ([], [])
    for kind in sorted({kind for kind, _ in members}):
        counts = [0, 0]
        its = ["/".join(group) for group in members if group[0] == kind]
        for name in shuffled(its, seed=seed):
            found = members[kind, name.removeprefix(f"{kind}/")]
            side = int(counts[1] < counts[0])
            halves[side].extend(found)
            counts[side] += len(found)
    return Split(train=part_of(halves[0], seed=seed), test=part_of(halves[1], seed=seed))


def part_of(pictures: Sequence[Picture], *, seed: int) -> Part:
    """Return the pictures' names, by label, in an order drawn by `seed`."""

    def named(label: Label) -> tuple[str, ...]:
        return shuffled((each.name for each in pictures if each.label is label), seed=seed)

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
    """Make one of groups that hold an identical picture, named by the first."""
    first: dict[bytes, str] = {}
    name_of = {key: key for key in keys}
    for key, digest in zip(keys, digests, strict=True):
        one, other = sorted((name_of[key], name_of[first.setdefault(digest, key)]))
        name_of = {its: one if name == other else name for its, name in name_of.items()}
    return [name_of[key] for key in keys]
