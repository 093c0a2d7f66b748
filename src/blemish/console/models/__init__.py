"""The models of a project: how good each is, by which threshold, and on which images."""
