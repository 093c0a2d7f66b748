"""The errors of the engine.

* EngineError
  - BackboneError   the network that the settings name cannot be used
  - BundleError     a bundle cannot be read: damaged, incomplete, or of a newer format
  - TrainingError   the labelled images cannot be trained or evaluated on

`images.ImageError` stands apart: it is about one image that a caller sent. Each message is a
sentence for people, and callers of the engine pass it on.
"""

from __future__ import annotations

from collections.abc import Sequence


class EngineError(Exception):
    """Base of what stops a training, an evaluation or the loading of a bundle."""


class BackboneError(EngineError):
    """The backbone is missing, is no ONNX model, or lacks the feature outputs needed."""


class BundleError(EngineError):
    """The bundle is damaged, incomplete, or of a format that this version does not know."""


class TrainingError(EngineError):
    """The labelled images cannot be used; the message names the first problems."""

    def __init__(self, message: str, *, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        #: every problem, a sentence each; empty if no single image is the reason
        self.problems = tuple(problems)
