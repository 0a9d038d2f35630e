"""The encoder's benchmark: ours against the ways in which the field serves this model, interleaved in one run.

python -m measure.bench.encoder     measures, appends to results/*.csv, draws results/*.png     (`make bench`)
python -m measure.bench.report      writes the newest complete run's tables into docs/results/benchmark.md

engines       who takes part: an engine, a layout of processes and threads, an allocator
loaders       checkpoint folder → callable (`peers`: ONNX Runtime and OpenVINO, from files that `export` made;
              `compilers`: torch.compile, zentorch, torchao)
environments  the packages of other software, which are not this repository's
worker        one process: loads once, then waits at its pipe for its turn
team          the processes of one contestant, started once, told to run one at a time
contest       rounds A B C A B C, lone clips, growth with length → measurements
results       measurements → rows of the CSV (`plots`, `report`, `targets`: what is drawn, written, judged;
              `findings`, `conclusions`: what is said)
peak, flops   what the machine can compute in a second, and the work of a second of audio
cpu_profile   where the encoder's time goes on a processor
handler       what a freshly started worker needs for its first request, and its memory for many long clips
overhead      what serving costs beside the encoder (`null_server`, `null_worker`, `null_stages`, `recordings`)
int8          whether int8 is worth serving
heads         what heads cost that share a pass
heads_served  what callers get of them, and of as many models that are served apart
gpu           the encoder on a GPU (`gpu_contestants`; `gpu_served`: the pipeline around it; `gpu_profile`,
              `gpu_report`)
hostile       what the worst bodies known cost a decoder
"""

from measure import ROOT

RESULTS = ROOT / "measure" / "bench" / "results"  # committed
BUILD = ROOT / "build" / "bench"  # quick runs and exported models; ignored by git
