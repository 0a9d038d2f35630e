"""What pydantic refuses, in the words of whoever wrote the setting: the key, what is wrong, what is allowed."""

from __future__ import annotations

from pydantic import ValidationError

# what a key must hold, where a pattern or "missing" would not say it
ALLOWED = {
    "source": "a hub id, or . for a checkpoint beside this file",
    "version": 'numbers with dots between, in quotes: "2.0"',
    "files": "a SHA-256, 64 digits of 0-9 and a-f, or null",
}
SCALAR = (str, int, float, bool)


def words(exc: ValidationError) -> str:
    """The first fault, in one line that begins with its key."""
    fault = exc.errors()[0]
    key, kind, found = ".".join(str(part) for part in fault["loc"]), fault["type"], fault["input"]
    allowed = ALLOWED.get(str(fault["loc"][0]) if fault["loc"] else "")
    if kind == "extra_forbidden":
        return f"{key}: unknown key"
    if kind == "missing" or found is None:
        return f"{key} is missing" + (f": {allowed}" if allowed else "")
    if kind == "value_error":  # of our own validators, which name the values
        return f"{key}: {fault['ctx']['error']}"
    if kind == "string_type" and isinstance(found, (int, float)):
        return f'{key}: {found} is a number, not text: write it in quotes: {key}: "{found}"'
    if kind in ("model_type", "dict_type"):
        must = "must hold keys and values"
    elif kind == "path_type":
        must = "must be a file's name"
    elif kind == "string_pattern_mismatch" and allowed:
        must = f"must be {allowed}"
    else:
        must = fault["msg"].replace("Input should be", "must be")
    return f"{key}: {must} (found {found!r})" if isinstance(found, SCALAR) else f"{key}: {must}"
