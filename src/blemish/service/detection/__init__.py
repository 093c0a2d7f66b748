"""Detection: one image, previews, and the jobs that take many images."""
