"""The errors of a station.

* StationError        settings or files are wrong; the message is for people
  - ConfigError       a setting is unknown, missing or wrong
  - SinkError         a sink cannot deliver now; the station tries again
    + VerdictRefusedError  the destination refuses this verdict for good
  - SourceError       a source has no image now; the station tries again
  - BusyError         nobody judged the image: a newer one replaced it, or the station stops
  - JudgeAwayError    nobody judged the image: the station stops while its model is away
  - DirectoryError    the station's directory cannot be used
  - RecordsError      the records cannot be written now; the station tries again
  - UnreadableError   an image cannot be judged: it is damaged, or has another size
"""

from __future__ import annotations


class StationError(Exception):
    """Base of the errors whose messages are for people."""


class ConfigError(StationError):
    """A setting is unknown, missing or wrong."""


class SinkError(StationError):
    """A sink cannot deliver now."""


class VerdictRefusedError(SinkError):
    """The destination refuses this verdict, and would refuse it again."""


class SourceError(StationError):
    """A source has no image now: its camera or its folder is not there."""


class DirectoryError(StationError):
    """The directory of a station cannot be used."""


class RecordsError(StationError):
    """The records cannot be written now."""


class BusyError(StationError):
    """An image was not judged: a newer one replaced it, or the station stops."""


class JudgeAwayError(StationError):
    """An image was not judged: the station stops while its model is away."""


class UnreadableError(StationError):
    """An image cannot be judged: it is damaged, or has another size."""
