"""Backbones: frozen networks that turn an image into feature maps, and their embeddings."""
