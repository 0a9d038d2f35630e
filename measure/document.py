"""A page of the docs whose results a command writes, between markers that name it."""

from __future__ import annotations

END = "<!-- to here -->"


def begin(command: str) -> str:
    return f"<!-- written by python -m {command} -->"


def insert(document: str, text: str, command: str) -> str:
    """The document with the text between this command's markers.

    Raises:
        ValueError: a marker is missing.
    """
    before, opening, rest = document.partition(begin(command))
    _, end, after = rest.partition(END)
    if not opening or not end:
        raise ValueError(f"the document lacks its markers, {begin(command)} and {END}")
    return f"{before}{opening}\n\n{text}\n\n{END}{after}"
