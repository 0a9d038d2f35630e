"""The gateway's Lua files for one server: each as it is shipped, with that server's values before it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from bundle import private
from serving.gateway import aliases, canary, static
from serving.gateway.codes import GATEWAY_ERRORS, GRPC_STATUSES
from serving.gateway.options import GatewayOptions
from serving.gateway.static import StaticFile
from serving.gateway.tokens import LONGEST, SHORTEST

SHIPPED = Path(__file__).resolve().parent
FOUND = "found.lua"  # no filter of its own: it stands before three that read what the watch found
ALL = REQUESTS, TOKENS, GRPC, HEALTH, CANARY, ERRORS = (
    "requests.lua",
    "tokens.lua",
    "grpc.lua",
    "health.lua",
    "canary.lua",
    "errors.lua",
)


def write(
    run: Path,
    options: GatewayOptions,
    *,
    model: str,
    heads: Mapping[str, Sequence[str]],
    found: Path,
    files: Sequence[StaticFile] = (),
) -> None:
    """Write them into a server's run folder.

    Args:
        options: what the gateway is started with.
        model: the one that paths which name none stand for.
        heads: names of the heads of the models that have several.
        found: what the watch writes.
        files: what the gateway answers by itself.
    """
    read = f"FOUND = {_quoted(found)}\n{(SHIPPED / FOUND).read_text('utf-8')}"
    before = {
        REQUESTS: f"{static.lua_table(files)}{lua_aliases(model, options)}{lua_origins(options.origins)}",
        HEALTH: f"{lua_heads(heads)}{static.lua_table(files)}{static.lua_tags(files)}{read}",
        GRPC: read,
        CANARY: f"WEIGHTS = {_quoted(run / canary.FILE)}\n",
        ERRORS: lua_grpc_statuses() + read,
    }
    if options.tokens:
        named = f"TOKENS = {_quoted(options.tokens.file)}\n"
        before[TOKENS] = f"{static.lua_table(files)}{named}SHORTEST, LONGEST = {SHORTEST}, {LONGEST}\n"
    for name, values in before.items():
        private.write(run / name, values + (SHIPPED / name).read_text("utf-8"))


def lua_aliases(model: str, options: GatewayOptions) -> str:
    """The table that requests.lua reads."""
    rows = (
        f"[{json.dumps(asked)}] = {json.dumps(meant)}"
        for asked, meant in aliases.table(model, options.health_routes, options.predict_routes).items()
    )
    return f"ALIASES = {{{', '.join(rows)}}}\n"


def lua_heads(heads: Mapping[str, Sequence[str]]) -> str:
    """The table that health.lua reads; names are of settings that allow letters, digits, `.`, `_` and `-` alone."""
    rows = (
        f'["{model}"] = {{{", ".join(json.dumps(head) for head in names)}}}' for model, names in heads.items()
    )
    return f"HEADS = {{{', '.join(rows)}}}\n"


def lua_origins(origins: Sequence[str]) -> str:
    """The table that requests.lua reads; an origin has no character that needs an escape."""
    rows = (f'["{origin}"] = true' for origin in origins)
    return f"CORS = {{{', '.join(rows)}}}\n" if origins else "CORS = false\n"


def lua_grpc_statuses() -> str:
    """The table that errors.lua reads: gRPC's number for each code that has one."""
    rows = (f'{error.code} = "{GRPC_STATUSES[error.grpc]}"' for error in GATEWAY_ERRORS if error.grpc)
    return f"GRPC_STATUS = {{{', '.join(rows)}}}\n"


def _quoted(path: Path) -> str:
    return json.dumps(str(path), ensure_ascii=False)
