"""Training: labelled images in, a bundle out."""
