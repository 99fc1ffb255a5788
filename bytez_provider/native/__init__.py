"""The Pulumi face for every other language, for imports and for explicit providers: a plugin.

The engine starts `pulumi-resource-bytez` and calls it over gRPC. Nothing here decides anything
about a load: that is in `core`.
"""
