"""What a result says of the processor that it came from."""

from measure.machine import processor

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
