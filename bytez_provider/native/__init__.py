"""The Pulumi face for every other language, for imports and for explicit providers: a plugin.

The engine starts `pulumi-resource-bytez` and calls it over gRPC. `core` decides all about loads.
"""
