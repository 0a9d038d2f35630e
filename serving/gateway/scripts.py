"""The gateway's Lua files for one server: each as it is shipped, with that server's values before it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from bundle import private
from serving.gateway.tokens import LONGEST, SHORTEST

SHIPPED = Path(__file__).resolve().parent
ALL = REQUESTS, TOKENS, HEALTH, CANARY, ERRORS = (
    "requests.lua",
    "tokens.lua",
    "health.lua",
    "canary.lua",
    "errors.lua",
)


def write(
    run: Path,
    *,
    heads: Mapping[str, Sequence[str]],
    found: Path,
    weights: Path,
    tokens: Path | None,
    cors: bool,
) -> None:
    """Write them into a server's run folder.

    Args:
        heads: names of the heads of the models that have several.
        found: what the watch writes.
        weights: of the canary, by version.
        tokens: the file of accepted tokens; every request is accepted without it.
        cors: whether pages of other origins may call.
    """
    before = {
        REQUESTS: f"CORS = {'true' if cors else 'false'}\n",
        HEALTH: f"{lua_heads(heads)}FOUND = {_quoted(found)}\n",
        CANARY: f"WEIGHTS = {_quoted(weights)}\n",
        ERRORS: "",
    }
    if tokens:
        before[TOKENS] = f"TOKENS = {_quoted(tokens)}\nSHORTEST, LONGEST = {SHORTEST}, {LONGEST}\n"
    for name, values in before.items():
        private.write(run / name, values + (SHIPPED / name).read_text("utf-8"))


def lua_heads(heads: Mapping[str, Sequence[str]]) -> str:
    """The table that health.lua reads; names are of settings that allow letters, digits, `.`, `_` and `-` alone."""
    rows = (
        f'["{model}"] = {{{", ".join(json.dumps(head) for head in names)}}}' for model, names in heads.items()
    )
    return f"HEADS = {{{', '.join(rows)}}}\n"


def _quoted(path: Path) -> str:
    return json.dumps(str(path), ensure_ascii=False)
