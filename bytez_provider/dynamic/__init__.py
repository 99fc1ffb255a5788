"""The Pulumi face for Python programs: resources, and the dynamic providers behind them."""
