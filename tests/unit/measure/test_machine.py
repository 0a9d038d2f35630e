"""What a result says of the processor that it came from."""

import pytest

from measure.machine import AVX2, processor, restricted

X86 = """processor\t: 0
model name\t: AMD EPYC
cpu family\t: 25
model\t\t: 1
flags\t\t: fpu avx2 sse

processor\t: 1
model name\t: another
"""
ARM = """processor\t: 0
Features\t: fp asimd bf16
CPU implementer\t: 0x41
CPU part\t: 0xd40
"""


def test_x86_has_its_name_and_the_flags_that_matter() -> None:
    assert processor(X86) == ("AMD EPYC (family 25, model 1)", "avx2")


def test_arm_has_the_numbers_that_it_is_listed_under() -> None:
    assert processor(ARM) == ("arm64 (implementer 0x41, part 0xd40)", "asimd bf16")
    assert processor("") == ("unknown (family ?, model ?)", "")


def test_a_processor_that_is_held_to_avx2_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in AVX2:
        monkeypatch.delenv(name, raising=False)
    own = ("AMD EPYC", "avx2 avx512f avx512_bf16 amx_bf16")
    assert restricted(*own) == own
    for name, value in AVX2.items():
        monkeypatch.setenv(name, value)
    assert restricted(*own) == ("AMD EPYC held to AVX2", "avx2")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX")
    monkeypatch.delenv("MKL_ENABLE_INSTRUCTIONS")
    left = "ONEDNN_MAX_CPU_ISA=AVX, ATEN_CPU_CAPABILITY=avx2, OPENBLAS_CORETYPE=Haswell"
    assert restricted(*own) == (f"AMD EPYC, {left}", own[1])
