"""The station: takes images at a line, judges them by a component, and hands verdicts on."""
