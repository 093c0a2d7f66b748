"""The detector as one ONNX graph: how it is written, and how it is run."""
