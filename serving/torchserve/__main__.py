"""`python -m serving.torchserve > metrics.yaml`: for a TorchServe that is started by hand, as `metrics_config=`."""

from __future__ import annotations

import sys

from serving.torchserve import declaration

if __name__ == "__main__":
    sys.stdout.write(declaration.text())
