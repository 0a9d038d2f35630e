"""Figures of one style: palette, fonts, resolution."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, GREY, DARK = "#4c72b0", "#dd8452", "#55a868", "#c44e52", "#999999", "#777777"
PRECISION = {"fp32": BLUE, "bf16": ORANGE, "int8": GREEN}


def style(others: dict[Any, Any] | None = None) -> AbstractContextManager[None]:
    """matplotlib's settings, and others, for the length of the block, in which figures are made and saved."""
    common: dict[Any, Any] = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    return mpl.rc_context({**common, "legend.frameon": False, **(others or {})})


@contextmanager
def drawn(path: Path, width: float, height: float, layout: Any = "constrained") -> Iterator[Figure]:
    """A figure to draw on, in inches, which is saved at the end of the block."""
    with style():
        figure = Figure(figsize=(width, height), layout=layout)
        yield figure
        save(figure, path)


def save(figure: Figure, path: Path) -> Path:
    """Writes a PNG; equal figures give equal bytes, whichever version of matplotlib."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, bbox_inches="tight", metadata={"Software": None})
    return path


def svg(figure: Figure) -> str:
    """The figure as an element that HTML takes, without XML's prologue."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    content = text.getvalue()
    return content[content.index("<svg") :]
