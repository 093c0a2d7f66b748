"""The watch over the images of one source: which alarms are on after each image.

The median of the last images is compared with the normal images of the training. It begins an alarm
outside of their range and a tolerance, and ends it within the range and half of the tolerance.
Between the two nothing changes, so that no alarm flickers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Any

from blemish.engine.normal_images import (
    ALIGNMENT,
    BRIGHTNESS,
    MEDIAN_OF,
    SHARPNESS,
    SHIFT_X,
    SHIFT_Y,
    Comparison,
    MeasuredRange,
)
from blemish.station.drift.alarms import AlarmKind
from blemish.station.drift.shares import ShareBand, ShareWatch

BRIGHTNESS_TOLERANCE = 0.02
"""Of the full scale."""

SHARPNESS_TOLERANCE = 0.02
"""Of the least sharpness of normal images."""

SHIFT_TOLERANCE = 0.02
"""Of the side of an image."""

ALIGNMENT_TOLERANCE = 0.15
"""Of the least peak of normal images: a camera that shows something else matches nowhere."""

_WATCHED = (BRIGHTNESS, SHARPNESS, SHIFT_X, SHIFT_Y, ALIGNMENT)


@dataclass(frozen=True, kw_only=True)
class SourceWatch:
    """What is known of the images of one source; it is replaced with every image."""

    #: name, version and threshold of the model; another one begins anew
    model: str = ""
    #: measure -> its last values, at most `MEDIAN_OF`
    windows: Mapping[str, list[float]] = field(default_factory=dict)
    #: of the normal images; empty if the model carries none
    ranges: Mapping[str, MeasuredRange] = field(default_factory=dict)
    share: ShareWatch = field(default_factory=ShareWatch)
    alarms: frozenset[AlarmKind] = frozenset()

    def add(
        self,
        comparison: Comparison | None,
        *,
        model: str,
        is_anomalous: bool,
        band: ShareBand | None,
    ) -> SourceWatch:
        """Return the watch after one more image; `band` is the one that is set, if any."""
        watch = self if model == self.model else SourceWatch(model=model, alarms=self.alarms)
        share = watch.share.add(is_anomalous=is_anomalous, band=band)
        windows = dict(watch.windows)
        if comparison is not None:
            for name in _WATCHED:
                values = [*windows.get(name, []), comparison.values[name]]
                windows[name] = values[-MEDIAN_OF:]
        watch = replace(
            watch,
            share=share,
            windows=windows,
            ranges={} if comparison is None else comparison.ranges,
        )
        return replace(watch, alarms=_alarms(watch))

    def message(self, kind: AlarmKind, band: ShareBand | None) -> str:
        """Say what an alarm is about."""
        if kind is AlarmKind.SHARE:
            return self._share_message(band)
        if kind is AlarmKind.MOVED:
            return self._shift_message()
        name = SHARPNESS if kind is AlarmKind.BLURRED else BRIGHTNESS
        value, entry = median(self.windows[name]), self.ranges[name]
        return (
            f"The images are {kind}: their {name} is {value:.2f}, that of the normal images of the "
            f"training {entry.low:.2f} to {entry.high:.2f}."
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as the records have it."""
        return {
            "model": self.model,
            "windows": dict(self.windows),
            "ranges": {name: asdict(entry) for name, entry in self.ranges.items()},
            "share": self.share.to_json(),
            "alarms": sorted(self.alarms),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> SourceWatch:
        """Return what `to_json` described."""
        return cls(
            model=document["model"],
            windows=document["windows"],
            ranges={name: MeasuredRange(**entry) for name, entry in document["ranges"].items()},
            share=ShareWatch.from_json(document["share"]),
            alarms=frozenset(map(AlarmKind, document["alarms"])),
        )

    def _shift_message(self) -> str:
        middles = {name: median(self.windows[name]) for name in (SHIFT_X, SHIFT_Y, ALIGNMENT)}
        if _lost_alignment(middles, self.ranges) >= 1:
            return (
                "The camera or the part has moved: the images nowhere match the normal images of "
                "the training."
            )
        x, y = (middles[axis] - self.ranges[axis].middle for axis in (SHIFT_X, SHIFT_Y))
        return (
            f"The camera or the part has moved: the images lie {abs(x):.0%} of their width to "
            f"the {'right' if x > 0 else 'left'} and {abs(y):.0%} of their height "
            f"{'lower' if y > 0 else 'higher'} than the normal images of the training."
        )

    def _share_message(self, band: ShareBand | None) -> str:
        block, limits = self.share.alarm, self.share.band(band)
        assert limits is not None
        return (
            f"{block.anomalous:,} of {block.images:,} images are anomalous "
            f"({block.anomalous / block.images:.1%}); the band is {limits.low:.1%} to "
            f"{limits.high:.1%}."
        )


def _alarms(watch: SourceWatch) -> frozenset[AlarmKind]:
    alarms = set(watch.alarms - {AlarmKind.SHARE})
    if watch.share.is_outside:
        alarms.add(AlarmKind.SHARE)
    if not watch.windows:  # a model without normal images: no image would ever end them
        return frozenset(alarms & {AlarmKind.SHARE})
    if len(watch.windows[BRIGHTNESS]) < MEDIAN_OF or not watch.ranges:
        return frozenset(alarms)
    for kinds in _excesses(watch):
        for kind, excess in kinds.items():
            if excess >= 1:
                alarms.add(kind)
            elif excess < 1 / 2:
                alarms.discard(kind)
        if max(kinds.values()) >= 1:
            break  # a black image is neither sharp nor anywhere, a blurred one matches less
    return frozenset(alarms)


def _excesses(watch: SourceWatch) -> Iterator[dict[AlarmKind, float]]:
    """Yield how far outside of its range each median lies, in tolerances."""
    middles = {name: median(watch.windows[name]) for name in _WATCHED}
    brightness, sharpness = watch.ranges[BRIGHTNESS], watch.ranges[SHARPNESS]
    yield {
        AlarmKind.DARK: (brightness.low - middles[BRIGHTNESS]) / BRIGHTNESS_TOLERANCE,
        AlarmKind.BRIGHT: (middles[BRIGHTNESS] - brightness.high) / BRIGHTNESS_TOLERANCE,
    }
    least = max(sharpness.low, 1e-6)
    yield {AlarmKind.BLURRED: (1 - middles[SHARPNESS] / least) / SHARPNESS_TOLERANCE}
    if ALIGNMENT in watch.ranges:
        shift = max(
            max(watch.ranges[name].low - middles[name], middles[name] - watch.ranges[name].high)
            for name in (SHIFT_X, SHIFT_Y)
        )
        lost = _lost_alignment(middles, watch.ranges)
        yield {AlarmKind.MOVED: max(shift / SHIFT_TOLERANCE, lost)}
    else:
        yield {AlarmKind.MOVED: 0.0}  # another model began it, and nothing else would end it


def _lost_alignment(middles: Mapping[str, float], ranges: Mapping[str, MeasuredRange]) -> float:
    return (1 - middles[ALIGNMENT] / ranges[ALIGNMENT].low) / ALIGNMENT_TOLERANCE
