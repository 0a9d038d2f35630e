"""Our server against what people would run instead: same model, same clips, same load, interleaved.

python -m measure.compare            measures, appends to results/*.csv, draws the plot     (`make compare`)
python -m measure.compare.overhead   what each model server, handler and gateway add to the bare encoder
python -m measure.compare.cost       the processor time that they take beside it, for each way to ask
python -m measure.compare.report     writes the newest run's tables into docs/results/compare.md
python -m measure.compare.model_servers  those of the two model servers into docs/results/model-servers.md

peers/NAME     a peer's own server, small and as its documentation has it, and what it needs pinned
usual          the model as a Hugging Face user serves it, the same in every peer
environments   build/peers/NAME: one virtual environment a peer
contenders     who takes part: a peer or ours, its batching, workers and threads
servers        one server: start, where to post, its processes, stop
usage          memory and processor time of a server's processes
work           the clips, and the answer that each gets alone
burst          saturation: every clip at once
steps          open arrivals at one rate
contest        rounds within a time box
results        measurements → rows of the CSV (`targets`, `limits`, `plots`, `report`: what is judged, possible,
               drawn and written)
"""

from measure import ROOT

RESULTS = ROOT / "measure" / "compare" / "results"  # committed
BUILD = ROOT / "build" / "compare"  # clips, logs and quick runs; ignored by git
