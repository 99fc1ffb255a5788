"""docs/reference.md, docs/commands.md and the tables of some other pages, made from the code.

`python -m tools.reference` writes them; tests/unit/test_reference.py fails if they are stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from bytez_provider.base.errors import BytezError, ErrorCode
from bytez_provider.core.inputs import INPUTS, REQUIRED, Change
from bytez_provider.service.settings import SETTINGS
from tools.commands import commands_page
from tools.schema.page import package_page

DOCS = Path(__file__).resolve().parents[1] / "docs"

_BEGIN = "<!-- begin: made by `python -m tools.reference` -->"
_END = "<!-- end -->"
_A_CHANGE = {
    Change.REPLACE: "replaces: an outage of one boot",
    Change.RESCALE: "replaces; in place with `2025-04`",
    Change.UPDATE: "sends no request",
}

ACTIONS: Mapping[ErrorCode, str] = {
    ErrorCode.OTHER: "Follow the last sentence of the message.",
    ErrorCode.CONFIG: (
        "Correct the setting that the message names: [configuration](configuration.md)."
    ),
    ErrorCode.MISSING_KEY: "Set `BYTEZ_KEY`, or run `pulumi config set --secret bytez:key <key>`.",
    ErrorCode.PLAIN_TEXT_KEY: "Replace the key at Bytez, and set the new one with `--secret`.",
    ErrorCode.UNTRUSTED_ENDPOINT: (
        "If you trust the endpoint, list it in `BYTEZ_TRUSTED_ENDPOINTS`."
    ),
    ErrorCode.JOURNAL: "Restore access to it: [journal](journal.md).",
    ErrorCode.INVALID_INPUT: "Correct it: [inputs](inputs.md).",
    ErrorCode.INVALID_FILE: (
        "Correct the lines that are listed. For fleet files: `bytez-fleet validate`."
    ),
    ErrorCode.UNKNOWN_MODEL: (
        "Use one of the names in the message, or search with `bytez-fleet models --search`."
    ),
    ErrorCode.REFUSED: "Read the service's reason in the message.",
    ErrorCode.AUTHENTICATION: "Set a valid key, then run `bytez-fleet doctor`.",
    ErrorCode.CREDITS: "Add credits at Bytez, then run the command again.",
    ErrorCode.RATE_LIMITED: "Run the command again later.",
    ErrorCode.UNREACHABLE: (
        "Check endpoint, network and proxy with `bytez-fleet doctor`, then run the command again."
    ),
    ErrorCode.MALFORMED_ANSWER: "Check endpoint and `bytez:apiVersion` with `bytez-fleet doctor`.",
    ErrorCode.LIFECYCLE: "Follow the last sentence of the message.",
    ErrorCode.ALREADY_LOADED: "Set `adopt=True` to take it over, or have its owner unload it.",
    ErrorCode.NOT_LOADED: "Run `pulumi up`, or `bytez-fleet load MODEL`.",
    ErrorCode.LOAD_LOST: "Find out who uses the account, then run `pulumi up` again.",
    ErrorCode.BOOT_FAILED: "Correct what the service's reason names, then run `pulumi up` again.",
    ErrorCode.BOOT_TIMEOUT: "Run `pulumi up` again, or set a longer [timeout](inputs.md#timeouts).",
    ErrorCode.RESCALE_FAILED: "Correct what the service names, then run `pulumi up` again.",
    ErrorCode.UNLOAD_FAILED: (
        "Run the command again. If that does not help: `bytez-fleet unload MODEL`."
    ),
    ErrorCode.ACCOUNT_CHANGED: (
        "Use that one, or set `BYTEZ_ACCEPT_ACCOUNT_CHANGE=1` to treat the load as gone."
    ),
    ErrorCode.FLEET_NOT_READY: "The message says why for each model. Then run `pulumi up` again.",
    ErrorCode.INTERRUPTED: "Run `pulumi up` again: it continues with the load.",
}
"""What to do about each code. What it means is in the docstring of its class of errors."""


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
        [(f"`{one.code.value}`", _meaning(one), ACTIONS[one.code]) for one in _kinds(BytezError)],
    )


def settings() -> str:
    """Return the table of the settings."""
    return _table(("setting", "meaning"), [(f"`{name}`", text) for name, text in SETTINGS.items()])


def _kinds(kind: type[BytezError]) -> Iterator[type[BytezError]]:
    """Yield a class of errors and those below it that stand beside it, in their order."""
    if kind.__module__ == BytezError.__module__:
        yield kind
        for below in kind.__subclasses__():
            yield from _kinds(below)


def _meaning(kind: type[BytezError]) -> str:
    if kind is BytezError:
        return "Something else failed, for example Pulumi or a file."
    return (kind.__doc__ or "").splitlines()[0]


def pages() -> dict[Path, str]:
    """Return the pages as they have to be."""
    tables = (("inputs.md", inputs()), ("errors.md", errors()), ("native.md", settings()))
    return {
        **{DOCS / name: _with_table(DOCS / name, table) for name, table in tables},
        DOCS / "commands.md": commands_page(),
        DOCS / "reference.md": package_page(),
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
