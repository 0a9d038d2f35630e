"""The gateway's Lua files for one server: each as it is shipped, with that server's values before it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from speaker_id.statuses import STATUS

from bundle import private
from serving.gateway import aliases, canary, shares, static
from serving.gateway.codes import GATEWAY_ERRORS, GRPC_STATUSES
from serving.gateway.options import GatewayOptions
from serving.gateway.static import StaticFile
from serving.gateway.tokens import LONGEST, SHORTEST
from serving.model_server import ModelServer, Upstream

SHIPPED = Path(__file__).resolve().parent
FOUND = "found.lua"  # no filter of its own: it stands before those that read what the watch found
ALL = REQUESTS, TOKENS, GRPC, HEALTH, CANARY, SHARES, SPLIT, ERRORS, AGAIN, RECEIVED, TRANSLATE, OUTPUTS = (
    "requests.lua",
    "tokens.lua",
    "grpc.lua",
    "health.lua",
    "canary.lua",
    "shares.lua",
    "split.lua",
    "errors.lua",
    "again.lua",
    "received.lua",
    "translate.lua",
    "outputs.lua",
)
MESSAGE = "message.lua"  # neither
HASH = "hash.lua"  # neither
WORDS = "words.lua"  # no filter of its own either: it stands before all of them
# Of a body, in bytes. Too high: requests of many compressed clips are not split. Too low: single clips go by way of the
# splitter.
LARGE = 256 << 10
CLOSED = "closed.lua"  # and this after those that read requests


def write(
    server: ModelServer,
    options: GatewayOptions,
    *,
    heads: Mapping[str, Sequence[str]],
    found: Path,
    state: Path,
    files: Sequence[StaticFile] = (),
) -> None:
    """Write them into the server's run folder.

    Args:
        server: the model server behind the gateway; its first model is the one that paths which name none stand for.
        options: what the gateway is started with.
        heads: names of the heads of the models that have several; "" is the default one's.
        found: what the watch writes.
        state: the memory of shares.
        files: what the gateway answers by itself.
    """
    run, upstream = server.run, server.upstream
    read = f"FOUND = {_quoted(found)}\n{_shipped(FOUND)}"
    servers = f"{lua_statuses()}{read}{upstream.script.read_text('utf-8')}"
    before = {
        REQUESTS: f"{static.lua_table(files)}PAGE = {_quoted(static.PAGE)}\n"
        f"{lua_aliases(server.models[0], options)}{lua_origins(options.origins)}",
        HEALTH: f"{lua_heads(heads)}{static.lua_table(files)}{static.lua_tags(files)}{lua_server(upstream)}{read}",
        GRPC: f"{lua_server(upstream)}{read}",
        CANARY: f"WEIGHTS = {_quoted(run / canary.FILE)}\n",
        SPLIT: f"LARGE = {LARGE}\n{read}",
        ERRORS: f"{lua_grpc_statuses()}{servers}",
        **({} if upstream.retried else {AGAIN: servers}),
    }
    if upstream.without_headers:
        calls = (f'["/{upstream.service}/{method}"] = true' for method in upstream.without_headers)
        before[RECEIVED] = f"CALLS = {{{', '.join(calls)}}}\n"
    before[TRANSLATE if upstream.translated else OUTPUTS] = _shipped(MESSAGE)
    hashed = f"SEED = {secrets.randbits(32)}\n{_shipped(HASH)}"
    if options.tokens:
        named = f"TOKENS = {_quoted(options.tokens.file)}\n"
        bounds = f"SHORTEST, LONGEST = {SHORTEST}, {LONGEST}\n{shares.LUA_BOUNDS}"
        before[TOKENS] = f"{static.lua_table(files)}{named}{bounds}{hashed}"
    if options.limits_callers:
        share = shares.lua_share(options.share) if options.share else "SHARE = false\n"
        before[SHARES] = f"STATE, SLOTS = {_quoted(state)}, {shares.SLOTS}\n{share}{hashed}"
    for name, values in before.items():
        script = _shipped(name)
        after = _shipped(CLOSED) if "function envoy_on_request(" in script else ""
        private.write(run / name, _shipped(WORDS) + values + script + after)


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


def lua_server(upstream: Upstream) -> str:
    """What health.lua and grpc.lua read of the model server."""
    known = {"SERVICE": upstream.service, "SOFTWARE": upstream.software, "PLATFORM": upstream.platform}
    methods = ", ".join(f"{name} = {'true' if asks else 'false'}" for name, asks in upstream.methods.items())
    instead = ", ".join(
        f"[{_quoted(service)}] = {_quoted(said)}" for service, said in upstream.instead.items()
    )
    translated = ", ".join(f"{name} = true" for name in upstream.translated)
    return (
        f"TRANSLATED = {{{translated}}}\n"
        + "".join(f"{name} = {_quoted(value)}\n" for name, value in known.items())
        + f"METHODS = {{{methods}}}\nINSTEAD = {{{instead}}}\n"
    )


def lua_statuses() -> str:
    """The HTTP status of every error that a model answers with, by its code."""
    rows = (f"{error.code} = {_quoted(status.value)}" for error, status in STATUS.items())
    return f"STATUS = {{{', '.join(rows)}}}\n"


def _shipped(name: str) -> str:
    return (SHIPPED / name).read_text("utf-8")


def _quoted(value: object) -> str:
    return json.dumps(str(value), ensure_ascii=False)
