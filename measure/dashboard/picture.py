"""The dashboard's panels, drawn from the recorded run → docs/images/dashboard.png.

python -m measure.dashboard.picture
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from measure.dashboard import recording
from measure.dashboard.panels import ROWS, Panel
from measure.dashboard.record import PATH as RECORDED
from measure.dashboard.recording import Recording, Values
from measure.figures import BLUE, GREEN, ORANGE, RED, style

PATH = Path("docs/images/dashboard.png")
COLUMNS = 3
COLOURS = (BLUE, ORANGE, GREEN, RED, "#8172b3", "#937860", "#64b5cd", "#da8bc3")
OF_STATUS = {"200": BLUE, "422": ORANGE, "429": RED, "500": RED, "503": RED, "507": RED}
HEADROOM = 1.3  # above the highest value, for the legend
INK, PALE = "#333333", "#dddddd"
UNITS = {"s": "s", "reqps": "requests / s", "short": "", "percentunit": "", "none": ""}
STYLE: dict[Any, Any] = {
    "font.size": 8,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    **{"axes.edgecolor": PALE, "axes.grid": True, "grid.color": "#eeeeee", "axes.axisbelow": True},
}


def draw(recorded: Recording, path: Path = PATH) -> Path:
    """One picture of all panels, row by row."""
    with style(STYLE):
        figure = Figure(
            figsize=(12, 2.45 * len(ROWS)), layout=ConstrainedLayoutEngine(h_pad=0.02, w_pad=0.06)
        )
        parts = figure.subfigures(len(ROWS), 1, squeeze=False)[:, 0]
        for part, (title, panels) in zip(parts, ROWS.items(), strict=True):
            part.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
            for axes, panel in zip(part.subplots(1, COLUMNS), panels, strict=True):
                paint(axes, panel, recorded)
                if panel in (*ROWS.values(),)[-1]:
                    axes.set_xlabel("s since the start")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110, metadata={"Software": ""})
    return path


def paint(axes: Axes, panel: Panel, recorded: Recording) -> None:
    """One panel: a line a series, or areas on top of each other."""
    lines = curves(panel, recorded)
    colours = [OF_STATUS.get(label, colour) for label, colour in zip(lines, COLOURS * 2, strict=False)]
    if panel.stacked and lines:
        heights = np.nan_to_num(np.array(list(lines.values())))
        axes.stackplot(recorded.times, heights, labels=list(lines), colors=colours, alpha=0.85, lw=0)
    else:
        for colour, (label, values) in zip(colours, lines.items(), strict=True):
            axes.plot(recorded.times, values, label=label, color=colour, lw=1.4)
    unit = UNITS[panel.unit]
    axes.set_title(f"{panel.title} ({unit})" if unit else panel.title, loc="left", fontsize=8.5)
    axes.set_xlim(0, float(recorded.times[-1]))
    axes.set_ylim(0, HEADROOM * axes.get_ylim()[1])
    if lines:
        axes.legend(fontsize=7, loc="upper left", ncols=4, columnspacing=1.2, handlelength=1.2)


def curves(panel: Panel, recorded: Recording) -> dict[str, Values]:
    """Legend → values over time, shape (scrapes,)."""
    return {
        legend(pattern, labels): values
        for pattern, query in panel.curves.items()
        for labels, values in sorted(query.evaluate(recorded).items())
    }


def legend(pattern: str, labels: Sequence[str]) -> str:
    """As Grafana fills in {{label}}: the labels' values stand in the order of the braces."""
    given = iter(labels)
    return re.sub(r"{{\w+}}", lambda _: next(given), pattern)


if __name__ == "__main__":
    print(f"wrote {draw(recording.read(RECORDED))}")
