"""Products: materials, parts and prints, drawn at a pose with what differs from piece to piece."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, map_coordinates

from pretraining.fields import (
    COLUMNS,
    ROWS,
    SIDE,
    Array,
    Field,
    Random,
    draw_field,
    log_uniform,
    smooth_noise,
)
from pretraining.shapes import Outline, draw_outline


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Where a piece lies: shift in pixels, turn in radians, scale."""

    row: float
    column: float
    turn: float
    scale: float

    def coordinates(self) -> tuple[Array, Array]:
        """Return (x, y) of every pixel in the piece's own frame, in pixels from its middle."""
        c, s = np.float32(np.cos(self.turn)), np.float32(np.sin(self.turn))
        x, y = COLUMNS - np.float32(self.column), ROWS - np.float32(self.row)
        scale = np.float32(self.scale)
        return (c * x + s * y) / scale, (c * y - s * x) / scale


@dataclass(frozen=True, kw_only=True)
class Material:
    """A colour with textures on it."""

    colour: Array
    #: each with its colour direction times its contrast
    layers: tuple[tuple[Field, Array], ...]
    #: seed of a texture that is the same on every piece; None if each has its own
    fixed: int | None
    #: deviation of the colour from piece to piece
    drift: float

    def render(self, instance: Random, where: tuple[Array, Array]) -> Array:
        """Draw a piece of it, (SIDE, SIDE, 3) RGB about 0 to 1."""
        image = np.empty((SIDE, SIDE, 3), dtype=np.float32)
        image[:] = self.colour * (1 + self.drift * instance.standard_normal())
        for index, (field, direction) in enumerate(self.layers):
            if self.fixed is None:
                values = field(instance)
            else:
                piece = field(np.random.default_rng((self.fixed, index)))
                x, y = where
                middle = np.float32((SIDE - 1) / 2)
                values = map_coordinates(piece, (y + middle, x + middle), order=1, mode="grid-wrap")
            image += values[..., None] * direction
        return image


def draw_material(random: Random, *, grey: bool, contrast: float, tone: float) -> Material:
    """Draw a material whose textures deviate from its colour by about `contrast`."""
    colour = np.clip(tone + (0 if grey else random.normal(0, 0.15, 3)), 0.02, 0.98)
    layers = []
    for _ in range(random.choice((1, 1, 2))):
        direction = np.ones(3) if grey or random.random() < 0.5 else random.normal(0, 1, 3)
        strength = contrast * random.uniform(0.4, 1)
        layers.append((draw_field(random), (direction * strength).astype(np.float32)))
    return Material(
        colour=(np.full(3, tone) if grey else colour).astype(np.float32),
        layers=tuple(layers),
        fixed=int(random.integers(2**31)) if random.random() < 0.3 else None,
        drift=random.choice((0.0, random.uniform(0, 0.12))),
    )


@dataclass(frozen=True, kw_only=True)
class Part:
    """A form on a piece, with its own colour, relief or material."""

    outline: Outline
    row: float
    column: float
    turn: float
    size: float
    #: added to the colour inside
    tint: Array
    #: lightness of the rim towards the light, and its width in pixels
    relief: float
    rim: float
    #: how far it wanders from piece to piece, in pixels
    play: float
    #: how bright it is towards its middle, as a dome
    dome: float

    def distance(self, where: tuple[Array, Array]) -> Array:
        """Return the signed distance in pixels, below 0 inside."""
        x, y = where[0] - np.float32(self.column), where[1] - np.float32(self.row)
        c, s = np.float32(np.cos(self.turn)), np.float32(np.sin(self.turn))
        u, v = (c * x + s * y) / self.size, (c * y - s * x) / self.size
        return (self.outline(u, v) * self.size).astype(np.float32)

    def paint(self, image: Array, distance: Array, light: float) -> None:
        """Put it on a picture, in place."""
        cover = np.clip(0.5 - distance, 0, 1)
        image += cover[..., None] * self.tint
        if self.relief:
            down, right = np.gradient(distance)
            slope = down * np.sin(light) + right * np.cos(light)
            rim = np.exp(-((distance / self.rim) ** 2)) * slope * self.relief
            image += rim[..., None].astype(np.float32)
        if self.dome:
            bulge = self.dome * np.sqrt(np.clip(-distance / self.size, 0, 1))
            image += bulge[..., None].astype(np.float32)


def draw_part(
    random: Random, *, grey: bool, size: float, row: float, column: float, contrast: float
) -> Part:
    """Draw a form at a place."""
    tint = np.full(3, random.normal()) if grey else random.normal(0, 1, 3)
    return Part(
        outline=draw_outline(random),
        row=row,
        column=column,
        turn=random.choice((0.0, np.pi / 2, random.uniform(0, 2 * np.pi))),
        size=size,
        tint=(tint * contrast).astype(np.float32),
        relief=random.choice((0.0, random.uniform(-0.5, 0.5))),
        rim=log_uniform(random, 0.8, 5),
        play=random.choice((0.0, 0.0, random.uniform(0, 3))),
        dome=random.choice((0.0, 0.0, random.uniform(-0.3, 0.3))),
    )


@dataclass(frozen=True, kw_only=True)
class Print:
    """Lines, boxes and letters, the same on every piece."""

    #: (SIDE, SIDE) from 0 to 1
    ink: Array
    tint: Array

    def paint(self, image: Array, where: tuple[Array, Array]) -> None:
        """Put it on a picture, in place."""
        middle = np.float32((SIDE - 1) / 2)
        x, y = where
        ink = map_coordinates(self.ink, (y + middle, x + middle), order=1, mode="constant")
        image += ink[..., None] * self.tint


def draw_print(random: Random, *, grey: bool) -> Print:
    """Draw a print of up to 60 strokes on a square as large as the picture."""
    finer = 2
    canvas = Image.new("L", (SIDE * finer, SIDE * finer))
    pen = ImageDraw.Draw(canvas)
    upright, width = random.random() < 0.6, random.integers(1, 7)
    span = random.uniform(0.05, 0.4) * SIDE * finer
    area = random.uniform(0.15, 0.5)
    for _ in range(int(log_uniform(random, 2, 60))):
        x, y = (0.5 + random.uniform(-area, area, 2)) * SIDE * finer
        w, h = random.uniform(0.1, 1, 2) * span
        tone = int(random.integers(90, 256))
        match random.integers(5):
            case 0 | 1:
                flat = random.random() < 0.5
                end = (
                    (x + (w if flat else 0), y + (0 if flat else h)) if upright else (x + w, y - h)
                )
                pen.line((x, y, *end), fill=tone, width=int(width))
            case 2:
                pen.rectangle((x, y, x + w, y + h), outline=tone, width=int(width))
            case 3:
                pen.ellipse(
                    (x, y, x + w, y + (w if upright else h)), outline=tone, width=int(width)
                )
            case _:
                letters = "".join(chr(c) for c in random.integers(48, 91, 5))
                pen.text((x, y), letters, fill=tone, font_size=random.uniform(12, 50))
    ink = gaussian_filter(np.asarray(canvas.reduce(finer), np.float32) / 255, random.uniform(0, 1))
    tint = np.full(3, random.choice((-1, 1))) if grey else random.uniform(-1, 1, 3)
    return Print(ink=ink, tint=(tint * log_uniform(random, 0.06, 0.6)).astype(np.float32))


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One piece in front of its background, before the camera."""

    #: (SIDE, SIDE, 3)
    image: Array
    #: the same without the piece
    background: Array
    #: (SIDE, SIDE), 1 on the piece
    cover: Array


@dataclass(frozen=True, kw_only=True)
class Product:
    """What all pieces of a product share."""

    material: Material
    background: Material
    #: outline of the piece; None where it fills the picture
    body: Part | None
    parts: tuple[Part, ...]
    prints: tuple[Print, ...]
    #: largest shift in pixels, turn in radians, and change of scale
    freedom: tuple[float, float, float]
    #: contrast of the blotches that every piece has elsewhere
    blotches: float
    #: direction that light comes from
    light: float
    grey: bool

    def draw_pose(self, random: Random) -> Pose:
        """Draw where a piece lies."""
        shift, turn, scale = self.freedom
        row, column = random.uniform(-shift, shift, 2)
        return Pose(
            row=row,
            column=column,
            turn=random.uniform(-turn, turn),
            scale=1 + random.uniform(-scale, scale),
        )

    def render(
        self,
        seed: int,
        *,
        without: int | None = None,
        moved: tuple[int, float, float] | None = None,
    ) -> Scene:
        """Draw the piece of a seed; `without` or `moved` name a part that is missing or astray."""
        instance = np.random.default_rng(seed)
        where = self.draw_pose(instance).coordinates()
        image = self.material.render(instance, where)
        if self.blotches:
            patches = smooth_noise(instance, instance.uniform(6, 30))
            image += (self.blotches * patches)[..., None]
        for one in self.prints:
            one.paint(image, where)
        plays = instance.normal(0, 1, (len(self.parts), 2))
        for index, part in enumerate(self.parts):
            dx, dy = plays[index] * part.play
            if moved and moved[0] == index:
                dx, dy = dx + moved[1], dy + moved[2]
            if index != without:
                shifted = (where[0] - np.float32(dx), where[1] - np.float32(dy))
                part.paint(image, part.distance(shifted), self.light)
        if self.body is None:
            return Scene(image=image, background=image, cover=np.ones((SIDE, SIDE), np.float32))
        background = self.background.render(instance, where)
        distance = self.body.distance(where)
        self.body.paint(image, distance, self.light)
        cover = np.clip(0.5 - distance, 0, 1)
        blend = cover[..., None]
        return Scene(
            image=image * blend + background * (1 - blend), background=background, cover=cover
        )


def draw_product(random: Random) -> Product:
    """Draw a product: a surface that fills the picture, or a body before a background."""
    grey = bool(random.random() < 0.5)
    contrast = log_uniform(random, 0.008, 0.22)
    has_body = random.random() < 0.5
    tone = random.uniform(0.15, 0.85)
    size = random.uniform(20, 75)
    shift = random.choice((0.0, random.uniform(0, 3), random.uniform(0, 14)))
    turn = random.choice((0.0, random.uniform(0, 0.1), random.uniform(0, np.pi)))
    scale = random.choice((0.0, random.uniform(0, 0.06)))
    body = (
        draw_part(random, grey=grey, size=size, row=0, column=0, contrast=0) if has_body else None
    )
    return Product(
        material=draw_material(random, grey=grey, contrast=contrast, tone=tone),
        background=draw_material(
            random,
            grey=grey,
            contrast=log_uniform(random, 0.002, 0.1),
            tone=(tone + random.choice((-1, 1)) * random.uniform(0.15, 0.6)) % 1,
        ),
        body=body,
        parts=_draw_parts(random, grey=grey, extent=size if has_body else SIDE / 2, body=has_body),
        prints=tuple(draw_print(random, grey=grey) for _ in range(random.choice((0, 0, 1)))),
        freedom=(shift, turn, scale),
        blotches=random.choice((0.0, log_uniform(random, 0.01, 0.1))),
        light=random.uniform(0, 2 * np.pi),
        grey=grey,
    )


def _draw_parts(random: Random, *, grey: bool, extent: float, body: bool) -> tuple[Part, ...]:
    """Draw parts: strewn, or copies in a circle or a row; half of the surfaces have none."""
    if random.random() < (0.25 if body else 0.5):
        return ()
    parts: list[Part] = []
    for _ in range(random.integers(1, 4)):
        size = log_uniform(random, 2.5, 0.6 * extent)
        radius, turn = extent * random.uniform(0, 0.8), random.uniform(0, 2 * np.pi)
        first = draw_part(
            random,
            grey=grey,
            size=size,
            row=radius * np.sin(turn),
            column=radius * np.cos(turn),
            contrast=log_uniform(random, 0.03, 0.3),
        )
        parts += _copies(random, first, radius, turn)
    return tuple(parts[:9])


def _copies(random: Random, first: Part, radius: float, turn: float) -> list[Part]:
    count = int(random.choice((1, 1, 2, 3, 4, 6)))
    in_row = random.random() < 0.4
    copies = []
    for k in range(count):
        angle = turn + 2 * np.pi * k / count
        row, column = radius * np.sin(angle), radius * np.cos(angle)
        if in_row:
            row, column = first.row, (k - (count - 1) / 2) * (2.5 * first.size + 3)
        copies.append(
            Part(**{**vars(first), "row": row, "column": column, "turn": first.turn + angle - turn})
        )
    return copies
