"""What every page shares: its frame, and controls that policies keep off."""
