"""What every room needs: errors, words, clocks, files, URNs. Nothing here is about the service."""
