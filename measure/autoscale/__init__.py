"""Which autoscaler meets the SLO for least replica-hours: a day's traffic against the rules in the manifests.

python -m measure.autoscale               measures, validates, simulates, reports   (`make autoscale`)
python -m measure.autoscale.measure       service times and start-up of the real server, by model
python -m measure.autoscale.validate      the simulated replica against the real one: latency curve and capacity
python -m measure.autoscale.simulate      the day, the signals, the thresholds; what is written from them

traffic     a day's profile → arrivals and clip lengths
service     measured batches → seconds that a batch takes (`batches`: records of a load test → batches)
queueing    one bounded FIFO and its workers a replica; the event simulation itself
replica     one replica under one rate, as a load test's summary; its capacity
fleet       replicas from creation to drained; what Prometheus has scraped of them
hpa         the HorizontalPodAutoscaler's rules (`behaviour`: stabilisation and policies; `keda`: to zero and back)
manifests   the numbers in deploy/kubernetes → those rules
day         profile, fleet and autoscaler together, minute by minute
sweep       thresholds tried, and the one recommended
plots, report, results    what is drawn and written
"""

from measure import ROOT

RESULTS = ROOT / "measure" / "autoscale" / "results"  # committed
BUILD = ROOT / "build" / "autoscale"  # those of other model servers; ignored by git
PROFILE = ROOT / "measure" / "autoscale" / "day.csv"
