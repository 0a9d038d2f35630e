# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"
"""Triton kernels for what torch has no launch of its own for. Imported only where Triton is, which compiles them with
the machine's C compiler when they first run.

Whatever the batch, a row is computed by the same instructions in the same order.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

# of the tile of a product, and of the inputs that are read at once: the fastest of twenty on an H100
ROWS, COLUMNS, INNER = 128, 256, 64
TOGETHER = 8  # tiles of rows next to each other, which share columns in the cache


@triton.jit
def gelu_of(x):
    return 0.5 * x * (1.0 + tl.math.erf(x * 0.7071067811865476))


@triton.jit
def windows_kernel(
    rows, weight, bias, out, count, outputs, inputs, row_stride, out_stride, group_stride,
    WITH_BIAS: tl.constexpr, GELU: tl.constexpr, EVEN: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, INNER: tl.constexpr, TOGETHER: tl.constexpr,
):  # fmt: skip
    program, part = tl.program_id(0), tl.program_id(1)
    across, down = tl.cdiv(outputs, COLUMNS), tl.cdiv(count, ROWS)
    group = program // (TOGETHER * across)
    height = min(down - group * TOGETHER, TOGETHER)
    inside = program % (TOGETHER * across)
    row = (group * TOGETHER + inside % height) * ROWS + tl.arange(0, ROWS)
    column = (inside // height) * COLUMNS + tl.arange(0, COLUMNS)
    inner = tl.arange(0, INNER)
    # beyond the last row or column others are computed again, and not stored
    left = (
        rows
        + part.to(tl.int64) * group_stride
        + (row % count).to(tl.int64)[:, None] * row_stride
        + inner[None, :]
    )
    right = weight + part * outputs * inputs + (column % outputs)[None, :] * inputs + inner[:, None]
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(0, inputs, INNER):
        if EVEN:
            a, b = tl.load(left), tl.load(right)
        else:
            a = tl.load(left, mask=inner[None, :] < inputs - start, other=0.0)
            b = tl.load(right, mask=inner[:, None] < inputs - start, other=0.0)
        total = tl.dot(a, b, total)
        left += INNER
        right += INNER
    if WITH_BIAS:
        total += tl.load(bias + part * outputs + column, mask=column < outputs, other=0.0)[None, :]
    if GELU:
        total = gelu_of(total)
    place = row.to(tl.int64)[:, None] * out_stride + part * outputs + column[None, :]
    there = (row < count)[:, None] & (column < outputs)[None, :]
    tl.store(out + place, total.to(out.dtype.element_ty), mask=there)


def windows(rows: Tensor, weight: Tensor, bias: Tensor | None, gelu: bool) -> Tensor:
    """Compute linear maps of windows of rows, which overlap, in groups of channels; then GELU.

    Args:
        rows: (groups, count, inputs), a view of any strides except the last.
        weight: (groups, outputs, inputs).
        bias: (groups · outputs,), fp32.

    Returns:
        (count, groups · outputs).
    """
    groups, count, inputs = rows.shape
    outputs = weight.shape[1]
    out = torch.empty(count, groups * outputs, device=rows.device, dtype=rows.dtype)
    columns = min(COLUMNS, triton.next_power_of_2(outputs))
    windows_kernel[(triton.cdiv(count, ROWS) * triton.cdiv(outputs, columns), groups)](
        rows, weight, bias, out, count, outputs, inputs, rows.stride(1), groups * outputs, rows.stride(0),
        WITH_BIAS=bias is not None, GELU=gelu, EVEN=inputs % INNER == 0,
        ROWS=ROWS, COLUMNS=columns, INNER=INNER, TOGETHER=TOGETHER,
        num_warps=8 if columns > 128 else 4, num_stages=3 if columns > 128 else 4,
    )  # fmt: skip
    return out


@triton.jit
def first_layer_kernel(
    signal, weight, bias, clips, out, hop, stride, rows,
    KERNEL: tl.constexpr, CHANNELS: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, TAPS: tl.constexpr,
):  # fmt: skip
    number = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    row, tap = tl.arange(0, ROWS), tl.arange(0, TAPS)
    clip = tl.load(clips + number)
    inside, there = column < CHANNELS, row < rows
    samples = tl.load(
        signal + number * hop + row[:, None] * stride + tap[None, :],
        mask=there[:, None] & (tap < KERNEL)[None, :], other=0.0,
    )  # fmt: skip
    shares = tl.load(
        weight + (clip * KERNEL + tap)[:, None] * CHANNELS + column[None, :],
        mask=(tap < KERNEL)[:, None] & inside[None, :], other=0.0,
    )  # fmt: skip
    if out.dtype.element_ty == tl.float32:
        # three products in TF32, of the numbers and of what TF32 leaves of them, are as exact as one in fp32
        total = tl.dot(samples, shares, input_precision="tf32x3")
    else:
        total = tl.dot(samples, shares, input_precision="tf32")  # three bits more than the result has
    total += tl.load(bias + clip * CHANNELS + column, mask=inside, other=0.0)[None, :]
    place = (number * rows + row)[:, None] * CHANNELS + column[None, :]
    tl.store(out + place, gelu_of(total).to(out.dtype.element_ty), mask=there[:, None] & inside[None, :])


def first_layer(samples: Tensor, weight: Tensor, bias: Tensor, clips: Tensor, dtype: torch.dtype) -> Tensor:
    """As `BatchedOperators.first_layer`."""
    hops, rows, kernel = samples.shape
    channels = weight.shape[2]
    out = torch.empty(hops * rows, channels, device=samples.device, dtype=dtype)
    first_layer_kernel[(hops, triton.cdiv(channels, 128))](
        samples, weight, bias, clips, out, samples.stride(0), samples.stride(1), rows,
        KERNEL=kernel, CHANNELS=channels,
        # a product has 16 rows at least, and 16 inputs
        ROWS=max(16, triton.next_power_of_2(rows)), COLUMNS=128, TAPS=max(16, triton.next_power_of_2(kernel)),
        num_warps=4,
    )  # fmt: skip
    return out


@triton.jit
def means_kernel(hidden, ends, out, channels, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    clip = tl.program_id(0)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    first, end = tl.load(ends + clip), tl.load(ends + clip + 1)
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(first, end, ROWS):
        row = start + tl.arange(0, ROWS)
        there = (row < end)[:, None] & (column < channels)[None, :]
        place = row.to(tl.int64)[:, None] * channels + column[None, :]
        total += tl.load(hidden + place, mask=there, other=0.0).to(tl.float32)
    tl.store(out + clip * channels + column, tl.sum(total, 0) / (end - first), mask=column < channels)


def means(hidden: Tensor, ends: Tensor) -> Tensor:
    """As `BatchedOperators.means`."""
    clips, channels = len(ends) - 1, hidden.shape[1]
    out = torch.empty(clips, channels, device=hidden.device)
    grid = (clips, triton.cdiv(channels, 64))
    means_kernel[grid](hidden, ends, out, channels, ROWS=64, COLUMNS=64, num_warps=4)
    return out


@triton.jit
def add_norm_kernel(
    rows, residual, weight, bias, total, out, channels, eps, COLUMNS: tl.constexpr, KEEP: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64) * channels
    column = tl.arange(0, COLUMNS)
    inside = column < channels
    x = tl.load(rows + row + column, mask=inside, other=0.0).to(tl.float32)
    x += tl.load(residual + row + column, mask=inside, other=0.0).to(tl.float32)
    if KEEP:
        tl.store(total + row + column, x.to(total.dtype.element_ty), mask=inside)
    mean = tl.sum(x, 0) / channels
    x = tl.where(inside, x - mean, 0.0)
    scale = tl.rsqrt(tl.sum(x * x, 0) / channels + eps)
    gain = tl.load(weight + column, mask=inside, other=0.0).to(tl.float32)
    shift = tl.load(bias + column, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row + column, (x * scale * gain + shift).to(out.dtype.element_ty), mask=inside)


def add_norm(
    rows: Tensor, residual: Tensor, weight: Tensor, bias: Tensor, eps: float, keep: bool
) -> tuple[Tensor, Tensor]:
    """Compute the layer norm of rows + residual, and that sum, where it is to be kept; else it is undefined."""
    count, channels = rows.shape
    out = torch.empty_like(rows)
    total = torch.empty_like(rows) if keep else out
    add_norm_kernel[(count,)](
        rows, residual, weight, bias, total, out, channels, eps,
        COLUMNS=triton.next_power_of_2(channels), KEEP=keep, num_warps=4,
    )  # fmt: skip
    return total, out
