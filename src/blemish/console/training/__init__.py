"""Starting a training, and watching it."""
