"""How much traffic a server holds: open arrivals of real clips, measured from the scheduled send time of each.

python -m measure.loadtest run         one run at one rate, and its report      (`make loadtest`)
python -m measure.loadtest capacity    the highest rate that meets an SLO       (`make capacity`)
python -m measure.loadtest check       the same, by k6 as well                  (`make capacity-check`)

clips      what is sent: a folder, or the demo's samples and seeded clips as long as VoxCeleb's
arrivals   when it is sent: poisson, constant, step, spike
target     a clip, and where and in which form it is sent
drive      a plan of shots → one record each, by a process of its own (`worker`, locust; `grpc_stub`)
summary    records → rates, percentiles and how sure they are (`slo`: what they are held to)
capacity   bracket and bisect over summaries (`k6`: the same steps by another generator)
server     the server that the options name: its targets and counters
report     records → report.html and report.json (`plots`)
phases     two conditions by turns in one run
comparison what other commands record of several conditions and model servers (`ratios`: how those compare)
"""

from measure import MeasureError


class LoadTestError(MeasureError):
    """The run cannot go on, or its result would be worth nothing."""
