"""Policies in Python tests: run as Pulumi runs them, on resources given in Python, no engine.

    from bytez_provider.policies.testing import Pack, Resource, model

    pack = Pack.from_folder("policy-pack")

    def test_no_public_bucket() -> None:
        bucket = Resource("aws:s3/bucket:Bucket", "logs", {"acl": "public-read"})
        found = pack.preview([bucket])
        assert [one.policy for one in found] == ["no-public-bucket"]

It is Pulumi's own policy SDK that reads the resources, asks the policies and reports, over the
same messages as with an engine: numbers arrive as floats, secrets unwrapped, what is unknown
raises when it is touched. What the engine itself does is done here as it does it: config with its
defaults, levels and schemas, remediation before validation, `__` properties kept back.

In a preview a policy of one resource sees its inputs, and a policy of the stack what is known of
the outputs: of a dynamic provider the inputs, of others the inputs and unknown outputs. In an
update nothing is unknown, and a policy of the stack sees the outputs. All resources are new.

Not emulated: stack config, versions of packs, policies that Pulumi's cloud adds.
"""

from __future__ import annotations

from bytez_provider.policies.testing._pack import Pack
from bytez_provider.policies.testing._resources import Later, Resource, fleet, model
from bytez_provider.policies.testing._run import PolicyViolation

__all__ = ["Later", "Pack", "PolicyViolation", "Resource", "fleet", "model"]
