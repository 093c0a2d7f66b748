"""The images of a project: added, shown, labelled and removed."""
