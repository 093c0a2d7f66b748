"""The errors of the engine.

* EngineError
  - BackboneError   the network that the settings name cannot be used
  - BundleError     a bundle cannot be read: damaged, incomplete, or of a newer format
  - TrainingError   the labelled images cannot be trained or evaluated on

`images.ImageError` stands apart: it is about the one image that a caller sent. Each message is
a sentence for people; whoever calls the engine passes it on.
"""

from __future__ import annotations


class EngineError(Exception):
    """Base of what stops a training, an evaluation or the loading of a bundle."""


class BackboneError(EngineError):
    """The backbone is missing, is no ONNX model, or lacks the feature outputs needed."""


class BundleError(EngineError):
    """The bundle is damaged, incomplete, or of a format that this version does not know."""


class TrainingError(EngineError):
    """The labelled images cannot be used; names the first problem and how many more there are."""
