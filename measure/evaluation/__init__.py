"""How often does a served model name the right speaker? Measured through its API, clip by clip.

    corpus      DATA= → clips with their true speakers: VoxCeleb1, a folder of speakers, a CSV
    conditions  a clip → the same voice after a telephone, a codec, noise …
    endpoint    a clip → its ranking, over HTTP; `local` is the same without a server
    journal     every ranking, on disk as soon as it is received, so that a killed run can resume
    run         asks for what is missing from the journal, with progress
    counts      rankings → shares with intervals, speakers, confusions, tests; `report` holds them all
    terminal, page, plot    a report → tables, docs/results/accuracy.md, a PNG

`python -m measure.evaluation` is `make evaluate`, with `--robustness` it is `make robustness`. Beside them stand
`published`, the known answers of the published checkpoint (`make verify-published`), and `held_out`, the demo model's
own test set.
"""

from pathlib import Path

from measure import MeasureError

RESULTS = Path(__file__).parent / "results"  # what docs/results/accuracy.md is written from

TOP = 5  # ranks that are asked for


class EvaluationError(MeasureError):
    """The evaluation cannot be done; the message is one line that says what to do."""
