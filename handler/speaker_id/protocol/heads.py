"""Which heads of a model a request asks for."""

from __future__ import annotations

from collections.abc import Iterable

from speaker_id.errors import InvalidParameter
from speaker_id.protocol.request import EMBEDDING, Options
from speaker_id.protocol.values import shown
from speaker_id.settings import ALL_HEADS


def chosen(options: Options, known: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the heads to answer with, in the model's order; "" for the only one, or the default one.

    Args:
        options: the caller's; without heads, the default one is chosen, or all.
        known: the settings' `output_heads`. `intent` stands for `intent.action` and its siblings.

    Raises:
        InvalidParameter: the model does not have such a head, or there is none to choose.
    """
    unnamed, names = "" in (known := tuple(known)), tuple(filter(None, known))
    if options.heads is None:
        return ("",) if unnamed else names
    if options.output == EMBEDDING:
        raise InvalidParameter("heads is of rankings: a model has one embedding, whatever its heads")
    if not names:
        raise InvalidParameter(
            f"unknown head {shown(options.heads[0])}; the model has one head, without a name"
        )
    if ALL_HEADS in options.heads:
        return names
    for asked in options.heads:
        if not any(is_of(name, asked) for name in names):
            groups = dict.fromkeys(name.split(".")[0] for name in names if "." in name)
            raise InvalidParameter(
                f"unknown head {shown(asked)}; known: {', '.join((*names, *groups))}; an embedding is output embedding"
            )
    return tuple(name for name in names if any(is_of(name, asked) for asked in options.heads))


def is_of(name: str, asked: str) -> bool:
    return asked in (name, name.split(".")[0])
