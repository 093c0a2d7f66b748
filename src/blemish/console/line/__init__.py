"""The pages of a line: its verdicts on a full screen, history, settings, and a camera's images."""
