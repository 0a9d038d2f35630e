"""What tests of the benchmark need of the processor."""

from __future__ import annotations

import pytest

from measure.machine import describe

FLAGS = describe().cpu_flags.split()
# https://oneapi-src.github.io/oneDNN/dev_guide_int8_computations.html
needs_exact_sums = pytest.mark.skipif(
    "avx2" in FLAGS and "avx512_vnni" not in FLAGS,
    reason="without AVX512_VNNI pairs of int8 products are added in 16 bits, which saturate",
)
