"""The recorded study → what stands between the markers of docs/results/openset.md:

python -m measure.openset.page
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from measure.document import Page, Table, join, recorded
from measure.machine import where
from measure.openset import FOLDER, RATES, RESULTS, plot
from measure.openset.heard import Table as Study
from measure.results import save_json

PAGE = Page.of("openset", "measure.openset.page")
GUARDS = {
    "msp": "largest probability (MSP)",
    "max_logit": "largest logit",
    "energy": "energy",
    "mahalanobis": "Mahalanobis",
    "relative": "relative Mahalanobis",
    "cosine": "cosine to the label means",
}


def record(study: Study) -> None:
    """Keep the study, and write figures and page again."""
    save_json(study, RESULTS)
    plot.det(study, FOLDER / "det.png")
    plot.reliability(study, FOLDER / "reliability.png")
    PAGE.write(text(FOLDER))


def percent(found: Study) -> str:
    return f"{100 * found['value']:.1f} % ({100 * found['low']:.1f}–{100 * found['high']:.1f})"


def number(found: Study) -> str:
    return f"{found['value']:.3f} ({found['low']:.3f}–{found['high']:.3f})"


def text(results: Path) -> str:
    return recorded(results / RESULTS.name, "python -m measure.openset", partial(_study, results))


def _study(results: Path, study: Study) -> str:
    people, lengths = study["people"], study["lengths"]
    return join(
        f"{study['model']}; {where(study['provenance'])}. Held out: recordings "
        f"of {people['held_out']} voices, at least {people['held_out_groups']} of them different people; "
        f"{people['held_out_tested']} have enough speech to be enrolled as well. Calibration: "
        f"{people['calibration']} others.",
        "### Voices never heard before",
        verification(lengths),
        PAGE.image("DET curves by seconds of speech", results / "det.png"),
        f"Galleries of six of them, drawn at random {study['galleries']} times, the others as strangers; in "
        "brackets the middle 95 % of the galleries:",
        new(lengths),
        "### The six named voices enrolled",
        gallery(lengths),
        PAGE.image("Reliability before and after calibration", results / "reliability.png"),
        "Sounds without a voice, by the same gallery:",
        sounds(study),
        "### The six voices' classifier, guarded",
        guards(lengths),
        "### One vector a voice, or several",
        conditions(study["conditions"]),
    )


def verification(lengths: Study) -> Table:
    rows = []
    for seconds, found in lengths.items():
        each = found["never_heard"]
        measured = (each[name] for name in ("cllr_before", "cllr"))
        trials = f"{each['same']} + {each['other']}"
        rows.append(
            [
                f"{seconds} s",
                trials,
                percent(each["eer"]),
                percent(each["eer_as_norm"]),
                *map(number, measured),
            ]
        )
    heads = (
        "speech",
        "trials, same + other",
        "EER",
        "EER with AS-norm",
        "Cllr of cosines",
        "Cllr, calibrated",
    )
    return Table(heads, rows)


def new(lengths: Study) -> Table:
    rows = [
        [f"{seconds} s", *(percent(found["new_galleries"][rate]) for rate in ("dir@0.01", "dir@0.1"))]
        for seconds, found in lengths.items()
    ]
    return Table(("speech", "DIR at FPIR 1 %", "DIR at FPIR 10 %"), rows)


RANKED = ("dir@0.01", "dir@0.1", "auroc", "fpr95")
CHANGES = [f"dir@{rate:g}{part}" for rate in RATES for part in ("", "_change")]
RANKED_HEADS = ("DIR at FPIR 1 %", "DIR at FPIR 10 %", "AUROC", "FPR@95")


def ranked(found: Study) -> list[str]:
    return [number(found[name]) if name == "auroc" else percent(found[name]) for name in RANKED]


def gallery(lengths: Study) -> str:
    ranking = Table(
        ("speech", "clips, named + strangers", *RANKED_HEADS),
        [
            [
                f"{seconds} s",
                f"{found['clips']['named']} + {found['clips']['strangers']}",
                *ranked(found["gallery"]),
            ]
            for seconds, found in lengths.items()
        ],
    )
    decided = Table(
        ("speech", "named rightly", "strangers named", "ECE before", "ECE after"),
        [
            [
                f"{seconds} s",
                *(percent(found["gallery"][name]) for name in ("detected", "false_alarms")),
                *(number(found["gallery"][name]) for name in ("ece_before", "ece")),
            ]
            for seconds, found in lengths.items()
        ],
    )
    return join(
        ranking,
        "As `make enrol FPIR=1%` decides, its threshold from the calibration people's clips of 3 s:",
        decided,
    )


def sounds(study: Study) -> Table:
    rows = [[name, str(found["clips"]), str(found["unknown"])] for name, found in study["sounds"].items()]
    return Table(("sound", "clips", "unknown"), rows)


def guards(lengths: Study) -> Table:
    rows = [
        [f"{seconds} s", words, *ranked(found["guard"][method])]
        for seconds, found in lengths.items()
        for method, words in GUARDS.items()
    ]
    return Table(("speech", "method", *RANKED_HEADS), rows, align="ll")


def conditions(found: Study) -> str:
    clips = found["clips"]
    rows = [
        [way, *(percent(each[name]) for name in ("eer", "eer_change", *CHANGES))]
        for way, each in found["ways"].items()
    ]
    heads = (
        "a voice is",
        "EER",
        "against one",
        "DIR at FPIR 1 %",
        "against one",
        "DIR at FPIR 10 %",
        "against one",
    )
    return join(
        f"{clips['enrolled']} enrolled clips of 3 s, in turn as recorded and through a telephone; {clips['tested']} "
        f"others and {clips['strangers']} of strangers, each as recorded, through a telephone and in noise 10 dB "
        "below it. A clip's score is its cosine to the nearest vector of a voice. Galleries of six as above; what is "
        "against one centroid is the difference on the same clips and galleries:",
        Table(heads, rows),
    )


if __name__ == "__main__":
    sys.exit(PAGE.main(text, FOLDER))
