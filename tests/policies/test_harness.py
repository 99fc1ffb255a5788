"""The harness with any pack: what policies see, what they report, what the config does.

tests/e2e/test_policy_harness.py compares it with the real engine.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Secret,
    StackValidationArgs,
    StackValidationPolicy,
)

import bytez_provider as bytez
from bytez_provider.base.errors import InvalidInputError
from bytez_provider.policies.testing import Later, Pack, PolicyViolation, Resource, fleet, model

ADVISORY, MANDATORY = EnforcementLevel.ADVISORY, EnforcementLevel.MANDATORY
BUCKET = "aws:s3/bucket:Bucket"


def policy(check: Callable[[ResourceValidationArgs, ReportViolation], Any], **more: Any) -> Policy:
    """Return a policy `report` of buckets."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> Any:
        return check(args, report) if args.resource_type == BUCKET else None

    return ResourceValidationPolicy("report", "Reports.", validate, **more)


def reporting(**more: Any) -> Policy:
    """Return a policy of buckets that reports its config."""

    def report_config(args: ResourceValidationArgs, report: ReportViolation) -> None:
        report(json.dumps(args.get_config(), sort_keys=True), None)

    return policy(report_config, **more)


def no_public(args: ResourceValidationArgs, report: ReportViolation) -> None:
    if args.props["acl"] == "public":
        report("It is public.", None)


def of_stack(check: Callable[[StackValidationArgs, ReportViolation], None]) -> Policy:
    return StackValidationPolicy("look", "Looks.", check)


def config_of(pack: Pack, config: Mapping[str, Any] | Path | None = None) -> Any:
    """Return the config that the policy got; None if it did not run."""
    found = pack.preview([Resource(BUCKET, "b")], config=config)
    return json.loads(found[0].message) if found else None


def refused(pack: Pack, config: Any) -> str:
    """Return why a config is refused."""
    with pytest.raises(InvalidInputError) as error:
        pack.preview([Resource(BUCKET, "b")], config=config)
    assert str(error.value).startswith("could not use the policy config: ")
    assert "No policy was run." in str(error.value)
    return error.value.observed


# --------------------------------------------------------------------------------- config


def test_defaults_of_the_schema_can_be_overridden() -> None:
    schema = PolicyConfigSchema(
        {"most": {"type": "integer", "default": 3}, "names": {"type": "array", "default": ["a"]}}
    )
    pack = Pack([reporting(config_schema=schema)])
    assert config_of(pack) == {"most": 3.0, "names": ["a"]}
    assert config_of(pack, {"report": {"most": 4}}) == {"most": 4.0, "names": ["a"]}
    assert config_of(pack) == {"most": 3.0, "names": ["a"]}, "a run leaves nothing behind"


def test_numbers_of_a_config_are_floats() -> None:
    found = config_of(Pack([reporting()]), {"report": {"n": 1, "in": {"it": [2]}}})
    assert isinstance(found["n"], float)
    assert isinstance(found["in"]["it"][0], float)


@pytest.mark.parametrize(
    ("pack_level", "own_level", "config", "level"),
    [
        (None, None, {}, ADVISORY),
        (MANDATORY, None, {}, MANDATORY),
        (None, None, {"report": {"enforcementLevel": "mandatory"}}, MANDATORY),
        (None, None, {"all": "mandatory"}, MANDATORY),
        (None, None, {"all": "mandatory", "report": "advisory"}, ADVISORY),
        (None, None, {"all": {"enforcementLevel": "mandatory", "ignored": 1}}, MANDATORY),
        (MANDATORY, None, {"report": "disabled"}, None),
        (MANDATORY, EnforcementLevel.DISABLED, {}, None),
        (None, None, {"report": "remediate"}, MANDATORY),
        (None, None, {"environments": ["prod"]}, ADVISORY),
        (None, None, {"of another pack": "mandatory"}, ADVISORY),
    ],
)
def test_levels(
    pack_level: EnforcementLevel | None,
    own_level: EnforcementLevel | None,
    config: dict[str, Any],
    level: EnforcementLevel | None,
) -> None:
    pack = Pack([reporting(enforcement_level=own_level)], enforcement_level=pack_level)
    found = pack.preview([Resource(BUCKET, "b")], config=config)
    assert [one.enforcement_level for one in found] == ([] if level is None else [level])


def test_the_users_config_overrides_the_packs() -> None:
    pack = Pack(
        [reporting()], initial_config={"report": {"a": 1, "b": 1, "enforcementLevel": MANDATORY}}
    )
    (found,) = pack.preview([Resource(BUCKET, "b")], config={"report": {"b": 2}})
    assert json.loads(found.message) == {"a": 1, "b": 2}
    assert found.enforcement_level is MANDATORY
    off = Pack([reporting()], initial_config={"all": EnforcementLevel.DISABLED})
    assert config_of(off) is None
    assert config_of(off, {"report": "advisory"}) == {}


@pytest.mark.parametrize(("text", "config"), [('{"report": {"a": 1}}', {"a": 1}), (" \n", {})])
def test_a_config_may_be_a_file(tmp_path: Path, text: str, config: dict[str, Any]) -> None:
    file = tmp_path / "policies.json"
    file.write_text(text)
    assert config_of(Pack([reporting()]), file) == config


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"report": {"most": "3"}}, "report: most: '3' is not of type 'integer'"),
        ({"report": {"most": 0, "deep": {"in": [1]}}}, "report: deep: in: 0: 1 is not of type"),
        ({"report": "strict"}, "the level of 'report' is 'strict'"),
        ({"report": {"enforcementLevel": 1}}, "the level of 'report' is 1"),
        ({"report": 3}, "'report' is neither a level nor an object"),
        ({"of another pack": {"a": 1}}, "of another pack: there is no such policy"),
        ([], "it is not a JSON object"),
        ({"report": {"most": object()}}, "it cannot be read"),
        (Path("nowhere.json"), "it cannot be read"),
    ],
)
def test_an_invalid_config_is_refused(config: Any, why: str) -> None:
    deep = {"properties": {"in": {"items": {"type": "string"}}}}
    schema = PolicyConfigSchema({"most": {"type": "integer"}, "deep": deep})
    assert why in refused(Pack([reporting(config_schema=schema)]), config)


def test_a_required_setting() -> None:
    """As in the engine, even if the policy is off."""
    schema = PolicyConfigSchema({"most": {"type": "integer"}}, required=["most"])
    pack = Pack([reporting(config_schema=schema, enforcement_level=EnforcementLevel.DISABLED)])
    assert refused(pack, None) == "report: 'most' is a required property"
    assert config_of(pack, {"report": {"most": 1}}) is None


# ---------------------------------------------------------------------- what policies see


def test_using_an_unknown_value_is_an_advisory_violation_in_a_preview() -> None:
    pack = Pack([policy(no_public)], enforcement_level=MANDATORY)
    late = Resource(BUCKET, "b", {"acl": Later("public")})
    (unknown,) = pack.preview([late])
    assert unknown.enforcement_level is ADVISORY
    assert "string value at .acl can't be known during preview" in unknown.message
    urn = "urn:pulumi:dev::project::aws:s3/bucket:Bucket::b"
    assert pack.up([late]) == [PolicyViolation("report", MANDATORY, "It is public.", urn)]


def test_secrets_are_unwrapped_and_inner_properties_hidden() -> None:
    seen: list[Any] = []
    inputs = {"key": Secret("hush"), "__provider": "x", "none": None, "ports": 80}
    Pack([policy(lambda args, _: seen.append(dict(args.props)))]).preview(
        [Resource(BUCKET, "b", inputs)]
    )
    assert seen == [{"key": "hush", "ports": 80.0}]


def test_outputs_that_a_policy_of_the_stack_sees() -> None:
    """In a preview: none of a dynamic provider, unknown ones of others."""
    resources = [
        model("m", model_id="microsoft/phi-1"),
        Resource(BUCKET, "b", {"acl": "private"}, {"acl": "made private", "arn": "arn:b"}),
    ]

    def look(args: StackValidationArgs, report: ReportViolation) -> None:
        ours = {one.name: one for one in args.resources}
        assert "status" in ours["m"].props or ours["b"].props["acl"] == "private"
        report(f"{ours['m'].props.get('status')}", ours["m"].urn)
        report(f"{ours['b'].props['acl']} {ours['b'].props['arn']}", "urn:of:nothing")

    pack = Pack([of_stack(look)])
    nothing, unknown = pack.preview(resources)
    assert nothing.message == "None"
    assert nothing.urn == resources[0].urn()
    assert "string value at .arn can't be known during preview" in unknown.message
    status, arn = pack.up(resources)
    assert status.message == "RUNNING"
    assert arn.message == "made private arn:b"
    assert arn.urn == "urn:pulumi:dev::project::pulumi:pulumi:Stack::project-dev", "as no such urn"


def test_parents_providers_dependencies_and_options() -> None:
    above = Resource("my:index:App", "app")
    provider = Resource("pulumi:providers:aws", "eu", {"region": "eu"})
    bucket = Resource(
        BUCKET,
        "b",
        parent=above,
        provider=provider,
        dependencies=[above],
        property_dependencies={"acl": [above]},
        ignore_changes=["acl"],
        custom_timeouts={"create": 60},
    )

    def look(args: StackValidationArgs, report: ReportViolation) -> None:
        assert dict(args.stack_tags) == {"team": "chat"}
        one = next(one for one in args.resources if one.name == "b")
        assert one.parent is one.dependencies[0] is one.property_dependencies["acl"][0]
        assert one.parent.name == "app"
        assert one.parent.parent is not None
        assert one.provider is not None
        assert one.provider.props["region"] == "eu"
        assert list(one.opts.ignore_changes) == ["acl"]
        assert one.opts.custom_timeouts.create_seconds == 60
        report(one.parent.parent.name, one.urn)

    pack = Pack([of_stack(look)])
    found = pack.preview([above, bucket], stack="prod", project="shop", stack_tags={"team": "chat"})
    assert [(one.message, one.urn) for one in found] == [
        ("shop-prod", "urn:pulumi:prod::shop::my:index:App$aws:s3/bucket:Bucket::b")
    ]


def test_a_remediation_comes_before_the_validations() -> None:
    def remedy(args: ResourceValidationArgs) -> Any:
        return {**args.props, "acl": "private"} if args.resource_type == BUCKET else None

    def every(args: StackValidationArgs, report: ReportViolation) -> None:
        report(", ".join(r.props["acl"] for r in args.resources if r.resource_type == BUCKET), None)

    pack = Pack([policy(no_public, remediate=remedy), of_stack(every)])
    bucket = Resource(BUCKET, "b", {"acl": "public", "key": Secret("k")})
    assert [one.message for one in pack.up([bucket])] == ["It is public.", "public"]
    remedied = pack.up([bucket], config={"report": "remediate"})
    assert [one.message for one in remedied] == ["private"]


# ------------------------------------------------------------------- which policies run


def test_async_policies_and_lists_of_them_run() -> None:
    async def waits(args: ResourceValidationArgs, report: ReportViolation) -> None:
        await asyncio.sleep(0)
        if args.resource_type == BUCKET:
            report("awaited", None)

    pack = Pack([ResourceValidationPolicy("many", "Several.", [waits, waits])])
    found = pack.preview([Resource(BUCKET, "b")])
    assert [one.message for one in found] == ["awaited", "awaited"]


def test_an_exception_in_a_policy_reaches_the_test() -> None:
    def fails(args: ResourceValidationArgs, _report: ReportViolation) -> None:
        raise LookupError(args.name)

    with pytest.raises(LookupError, match="b"):
        Pack([policy(fails)]).preview([Resource(BUCKET, "b")])


def test_a_pack_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its program runs in its folder and can import the modules there, as with Pulumi."""
    (tmp_path / "beside_the_pack.py").write_text(
        "from pathlib import Path\nTEXT = Path('text.txt').read_text()\n"
    )
    (tmp_path / "text.txt").write_text("from a file")
    (tmp_path / "__main__.py").write_text(
        "from pulumi_policy import PolicyPack, StackValidationPolicy\n"
        "from beside_the_pack import TEXT\n"
        "check = lambda args, report: report(TEXT)\n"
        "if __name__ == '__main__':\n"
        "    PolicyPack('mine', [StackValidationPolicy('report', 'Reports.', check)])\n"
        "    raise AssertionError('Pulumi never returns from there')\n"
    )
    monkeypatch.chdir(tmp_path.parent)
    pack = Pack.from_folder(tmp_path.name)
    assert Path.cwd() == tmp_path.parent
    assert [one.message for one in pack.preview([])] == ["from a file"]
    del sys.modules["beside_the_pack"]


def test_a_folder_without_a_pack(tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text("")
    before = os.getcwd()  # noqa: PTH109
    with pytest.raises(InvalidInputError, match="its program ended without a PolicyPack"):
        Pack.from_folder(tmp_path)
    assert os.getcwd() == before  # noqa: PTH109


# ------------------------------------------------------------------------------ resources


def test_a_fleet_has_the_resources_of_its_class() -> None:
    models = {
        "phi": bytez.ModelArgs(model_id="microsoft/phi-1", concurrency=2),
        "odd": bytez.ModelArgs(model_id="no/such", on_expiry="accept"),
    }
    component, phi, odd, ready = fleet("chat", models, protect=True)
    assert [one.name for one in (component, phi, odd, ready)] == [
        "chat",
        "chat-phi",
        "chat-odd",
        "chat-ready",
    ]
    assert phi.inputs["readiness"] == "fleet"
    assert all(one.protect for one in (component, phi, odd, ready))
    assert component.outputs["totalRequiredRamGb"] == 18.32
    assert component.outputs["unknownRam"] == ["no/such"]
    assert ready.inputs["members"]["odd"]["acceptIdle"] is True
