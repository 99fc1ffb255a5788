"""The core: inputs, ownership of loads, waiting, lifecycle, fleets."""
