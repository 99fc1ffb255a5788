"""Policies in Python tests: run as Pulumi runs them, on resources given in Python, no engine.

    from bytez_provider.policies.testing import Pack, Resource, model

    pack = Pack.from_folder("policy-pack")

    def test_no_public_bucket() -> None:
        bucket = Resource("aws:s3/bucket:Bucket", "logs", {"acl": "public-read"})
        found = pack.preview([bucket])
        assert [one.policy for one in found] == ["no-public-bucket"]

Pulumi's own policy SDK reads the resources and runs the policies, with the messages that an engine
sends: numbers are floats, secrets are unwrapped, and using an unknown value raises. The engine's
own part is done here: the config with its defaults, levels and schemas, remediations before
validations, and no properties that begin with `__`.

In a preview, a policy of one resource gets its inputs. A policy of the stack gets the inputs, and
unknown outputs (none for a dynamic provider). In an update it gets the outputs, and nothing is
unknown. All resources are new.

Not emulated: stack config, versions of packs, policies of Pulumi's cloud.
"""

from __future__ import annotations

from bytez_provider.policies.testing._pack import Pack, PolicyViolation
from bytez_provider.policies.testing._resources import Later, Resource, fleet, model

__all__ = ["Later", "Pack", "PolicyViolation", "Resource", "fleet", "model"]
