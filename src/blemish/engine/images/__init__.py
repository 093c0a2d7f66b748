"""Image files in, pixels out: the only such path, for training, hosting and the edge."""
