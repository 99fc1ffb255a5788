"""The tables of docs/inputs.md and docs/errors.md, made from the code.

`python -m tools.reference` writes them; tests/unit/test_reference.py fails if they are stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from bytez_provider.base.errors import ErrorCode
from bytez_provider.core.inputs import INPUTS, REQUIRED, Change

DOCS = Path(__file__).resolve().parents[1] / "docs"

_BEGIN = "<!-- begin: made by `python -m tools.reference` -->"
_END = "<!-- end -->"
_A_CHANGE = {
    Change.REPLACE: "replaces: an outage of one boot",
    Change.UPDATE: "sends no request",
}

ERRORS: Mapping[ErrorCode, tuple[str, str]] = {
    ErrorCode.OTHER: (
        "Something else failed, for example Pulumi or a file.",
        "Follow the last sentence of the message.",
    ),
    ErrorCode.CONFIG: (
        "A setting cannot be used.",
        "Correct the setting that the message names: [configuration](configuration.md).",
    ),
    ErrorCode.MISSING_KEY: (
        "No API key is set.",
        "Set `BYTEZ_KEY`, or run `pulumi config set --secret bytez:key <key>`.",
    ),
    ErrorCode.PLAIN_TEXT_KEY: (
        "The API key is in stack config in plain text.",
        "Replace the key at Bytez, and set the new one with `--secret`.",
    ),
    ErrorCode.UNTRUSTED_ENDPOINT: (
        "A key from the environment would go to an endpoint that only stack config names.",
        "If you trust the endpoint, list it in `BYTEZ_TRUSTED_ENDPOINTS`.",
    ),
    ErrorCode.JOURNAL: (
        "The journal cannot be read or written.",
        "Restore access to it: [journal](journal.md).",
    ),
    ErrorCode.INVALID_INPUT: (
        "An input or an option cannot be used.",
        "Correct it: [inputs](inputs.md).",
    ),
    ErrorCode.INVALID_FILE: (
        "A file cannot be read, or its content cannot be used.",
        "Correct the lines that are listed. For fleet files: `bytez-fleet validate`.",
    ),
    ErrorCode.UNKNOWN_MODEL: (
        "The catalogue has no such model.",
        "Use one of the names in the message, or search with `bytez-fleet models --search`.",
    ),
    ErrorCode.REFUSED: (
        "The service refused the request.",
        "Read the service's reason in the message.",
    ),
    ErrorCode.AUTHENTICATION: (
        "The service refused the key.",
        "Set a valid key, then run `bytez-fleet doctor`.",
    ),
    ErrorCode.CREDITS: (
        "The account has no credits left.",
        "Add credits at Bytez, then run the command again.",
    ),
    ErrorCode.RATE_LIMITED: (
        "The service reports too many requests, also after the provider waited.",
        "Run the command again later.",
    ),
    ErrorCode.UNREACHABLE: (
        "The service did not answer.",
        "Check endpoint, network and proxy with `bytez-fleet doctor`, then run the command again.",
    ),
    ErrorCode.MALFORMED_ANSWER: (
        "The answer is not one of this API.",
        "Check endpoint and `bytez:apiVersion` with `bytez-fleet doctor`.",
    ),
    ErrorCode.LIFECYCLE: (
        "An operation did not end as asked.",
        "Follow the last sentence of the message.",
    ),
    ErrorCode.ALREADY_LOADED: (
        "Somebody else's load of the model is in the way.",
        "Set `adopt=True` to take it over, or have its owner unload it.",
    ),
    ErrorCode.NOT_LOADED: (
        "The model is not loaded.",
        "Run `pulumi up`, or `bytez-fleet load MODEL`.",
    ),
    ErrorCode.LOAD_LOST: (
        "Somebody else unloaded or replaced the load before it was ready.",
        "Find out who uses the account, then run `pulumi up` again.",
    ),
    ErrorCode.BOOT_FAILED: (
        "The service reported that the boot failed.",
        "Correct what the service's reason names, then run `pulumi up` again.",
    ),
    ErrorCode.BOOT_TIMEOUT: (
        "The model was not RUNNING within the limit.",
        "Run `pulumi up` again, or set a longer [timeout](inputs.md#timeouts).",
    ),
    ErrorCode.UNLOAD_FAILED: (
        "The model is still loaded after the unload.",
        "Run the command again. If that does not help: `bytez-fleet unload MODEL`.",
    ),
    ErrorCode.ACCOUNT_CHANGED: (
        "The state was made with another key or endpoint.",
        "Use that one, or set `BYTEZ_ACCEPT_ACCOUNT_CHANGE=1` to treat the load as gone.",
    ),
    ErrorCode.FLEET_NOT_READY: (
        "Some models of a fleet are not RUNNING.",
        "The message says why for each model. Then run `pulumi up` again.",
    ),
    ErrorCode.INTERRUPTED: (
        "The deployment was stopped before the load was finished.",
        "Run `pulumi up` again: it continues with the load.",
    ),
}
"""What each code means, and what to do."""


def inputs() -> str:
    """Return the table of the inputs."""
    rows = []
    for one in INPUTS.values():
        default = {REQUIRED: "required", None: "none"}.get(one.default, f"`{one.default!r}`")
        rows.append((f"`{one.name}`", default, one.help, _A_CHANGE[one.change]))
    return _table(("input", "default", "meaning", "a change"), rows)


def errors() -> str:
    """Return the table of the error codes."""
    return _table(
        ("code", "meaning", "what to do"),
        [(f"`{code.value}`", *ERRORS[code]) for code in ErrorCode],
    )


def pages() -> dict[Path, str]:
    """Return the pages as they have to be."""
    return {
        DOCS / name: _with_table(DOCS / name, table)
        for name, table in (("inputs.md", inputs()), ("errors.md", errors()))
    }


def _with_table(page: Path, table: str) -> str:
    before, begin, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    return before + begin + f"\n\n{table}\n{_END}" + rest.partition(_END)[2]


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (header, ("---",) * len(header), *rows)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")
        print(f"written: {page.name}")
