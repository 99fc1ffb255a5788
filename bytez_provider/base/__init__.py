"""What every room needs and nothing of Bytez is in: errors, words, times, files, URNs."""
