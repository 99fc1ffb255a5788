"""What the provider costs in time, each figure a ratio within one run."""
