"""`python -m serving.metrics > metrics.yaml`: for a TorchServe that is started by hand, as `metrics_config=`."""

from __future__ import annotations

import sys

from serving.metrics import declaration

if __name__ == "__main__":
    sys.stdout.write(declaration.text())
