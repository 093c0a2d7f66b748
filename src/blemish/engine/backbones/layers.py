"""Names that backbones and the code around them share."""

from __future__ import annotations

LAYERS = ("layer2", "layer3")
"""The feature maps that patch embeddings are made of; the grid of the first is the patches' grid.

Source: Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022, section 3.1.
"""

STEP_KEY = "blemish.step"
"""Key of the metadata of an ONNX file: the sides of its images must be multiples of this number."""

BANK_ALONE_KEY = "blemish.bank_alone"
"""Key of the metadata of an ONNX file. Where its value is 1, the memory bank alone scores images
without labelled anomalies; else subspace and image Gaussian take part."""
