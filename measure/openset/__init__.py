"""How well voices are told from strangers: `python -m measure.openset` → docs/results/openset.md.

measures   scores → EER, DIR at FPIR, AUROC, FPR at 95 %, Cllr, ECE
cuts       the corpora of `training` → clips of 1, 3 and 8 s, by who may be enrolled and who is a stranger
answers    a checkpoint → logits and embeddings of every clip
verification, identification   the questions: one person or two; who, if anybody
conditions     whether a voice is one vector or several
    study      all of them, with intervals by person
plot       DET curves and reliability
page       the page
"""

from pathlib import Path

FOLDER = Path(__file__).parent / "results"
RESULTS = FOLDER / "openset.json"
SECONDS = (1, 3, 8)
RATES = (0.01, 0.1)  # of FPIR, that DIR is given at
