"""Faults against a real server under load, and what its callers saw of them.

python -m measure.chaos            runs every fault, writes OUT/chaos.json, exits with 1 if an expectation failed
python -m measure.chaos.report     writes a run's table into docs/results/chaos.md

verdict          an answer → right, an honest error, lost, or wrong
load             correct clips at open arrivals, each answer judged
server           the server under fault: model server and gateway, its workers, its memory
archives         the demo model as shipped, around a worker that misbehaves on request, and corrupted
faulty_worker    that worker, with `faulty_encoder`
scene            one fault: the load meanwhile, when it began, when the server had recovered
processes        faults of workers, of their decoders, and of the model server
storage          faults of archives and disks
callers          faults that callers make: hanging up, fuzzed bodies, bodies that harm a decoder (`attacks`)
endurance        80 % of the capacity, for long
fuzz             the bodies (`mutations`: damaged audio and bombs; `documents`: JSON), made from `recordings`
"""

from measure import ROOT

BUILD = ROOT / "build" / "chaos"  # archives; ignored by git
