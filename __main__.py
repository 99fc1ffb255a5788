"""The provider plugin, as Pulumi runs it from this folder or its repository.

PulumiPlugin.yaml makes this folder a plugin. The program of Pulumi.yaml is program.py.
"""

from __future__ import annotations

from bytez_provider.native.command import main

main()
