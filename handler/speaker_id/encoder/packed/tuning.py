"""Which plan is the fastest on this processor: candidates are timed for a second or two, on weights of noise.

What is timed is CPU time, in turns, so that other programs, or other workers that are starting, hardly affect it. The
default plan stays where nothing is clearly faster, so that equal machines serve with equal kernels.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from speaker_id.encoder.packed.convolution import ConvolutionStack
from speaker_id.encoder.packed.onednn import LINEARS, OneDnnOperators
from speaker_id.encoder.packed.operators import Linear
from speaker_id.encoder.packed.spans import spans
from speaker_id.encoder.packed.team import Team
from speaker_id.encoder.packed.transformer import TransformerLayer
from speaker_id.encoder.packed.weights import Convolution, Layer, Norm
from speaker_id.heads.affine import Affine
from speaker_id.plan import KINDS, Kind, Plan

ROWS, TILES = (128, 256, 512, 1024), (24, 48, 96)
# By which a candidate must be faster than the default: what two timings of the same may differ by. A product's are
# alike; a whole layer's vary with what shares the caches.
PRODUCT_MARGIN, MARGIN = 1.01, 1.05
TURNS, ALL = 5, 2  # of a candidate, and those that slow ones have too
SLOWER = 1.1  # than the fastest: no more turns
SECONDS = 3.5  # of CPU time, after which each candidate has one turn only
PRODUCT_FLOP = 3e8  # of a timed product, some milliseconds
MOST_THREADS = 4  # that are timed together, which bounds the memory
SPAN = 128  # rows of a clip: attention then costs the same whatever the number of rows

Use = Literal["rows", "gelu", "add"]
Choice = TypeVar("Choice")
Candidates = Mapping[Choice, tuple[Callable[[], object], int]]  # what to run, and its amount of work


@dataclass(frozen=True)
class Product:
    """A product that the encoder computes.

    Attributes:
        outputs, inputs: the weight's shape.
        use: what follows it.
        hop: values from one row to the next; fewer than `inputs` where rows are windows that overlap.
    """

    outputs: int
    inputs: int
    use: Use
    hop: int

    @property
    def shape(self) -> str:
        return f"{self.outputs}x{self.inputs}"


def products(config: Any) -> list[Product]:
    """Return the products of a model by its config, each shape once."""
    channels = [1, *config.conv_dim]
    after: Use = "gelu" if config.feat_extract_norm == "group" else "rows"
    found = [
        Product(outputs, kernel * inputs, after, stride * inputs)
        for outputs, inputs, kernel, stride in zip(
            config.conv_dim, channels, config.conv_kernel, config.conv_stride, strict=False
        )
    ]
    hidden, inner = config.hidden_size, config.intermediate_size
    uses: tuple[tuple[int, int, Use], ...] = (
        (hidden, channels[-1], "rows"),
        (3 * hidden, hidden, "rows"),
        (hidden, hidden, "add"),
        (inner, hidden, "gelu"),
        (hidden, inner, "add"),
    )
    found += [Product(outputs, inputs, use, inputs) for outputs, inputs, use in uses]
    return [*{each.shape: each for each in found}.values()]


@torch.inference_mode()
def measure(config: Any, dtype: torch.dtype, threads: int, kinds: tuple[Kind, ...] = KINDS) -> Plan:
    """Return the fastest plan for a model's shapes.

    Args:
        config: the model's.
        dtype: of activations.
        threads: of the encoder.
        kinds: those that compute correctly here, the default first.
    """
    if dtype != torch.float32:
        kinds = kinds[:1]  # the others round each product to bf16 before what follows it
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    deadline = time.process_time() + SECONDS
    try:
        chosen = {
            each.shape: fastest(linears(each, dtype, kinds), deadline, PRODUCT_MARGIN)
            for each in products(config)
        }
        plan = Plan(kind=kinds[0], products=chosen)
        team = partial(Team, min(threads, MOST_THREADS))
        plan = replace(plan, rows=fastest(layers(config, dtype, plan, team), deadline))
        return replace(plan, tile=fastest(stacks(config, dtype, plan, team), deadline))
    finally:
        torch.set_num_threads(before)


def fastest(candidates: Candidates[Choice], deadline: float, margin: float = MARGIN) -> Choice:
    """Return the candidate that needs the least time for its amount of work, the first one if it is about as fast.

    Args:
        candidates: what to run, and how much work that is.
        deadline: when to come to an end, in CPU time of this process.
        margin: by which another one must be faster than the first.
    """
    default, *others = candidates
    if not others:
        return default
    for run, _ in candidates.values():
        run()  # kernels are compiled, memory is allocated
    times: dict[Choice, list[float]] = {choice: [] for choice in candidates}
    for turn in range(TURNS):
        limit = math.inf if turn < ALL else SLOWER * min(map(min, times.values()))
        for choice, (run, amount) in candidates.items():
            if choice == default or turn < ALL or min(times[choice]) <= limit:
                started = time.process_time()
                run()
                times[choice].append((time.process_time() - started) / amount)
        if time.process_time() > deadline:
            break
    winner = min(others, key=lambda choice: min(times[choice]))
    ratios = [mine / theirs for mine, theirs in zip(times[default], times[winner], strict=False)]
    # by the undisturbed turns, and by the usual one: a busy machine disturbs one of both now and then
    faster = min(min(times[default]) / min(times[winner]), statistics.median(ratios))
    return winner if faster > margin else default


def linears(product: Product, dtype: torch.dtype, kinds: tuple[Kind, ...]) -> Candidates[Kind]:
    """A product by kinds."""
    rows = int(min(4096, max(256, PRODUCT_FLOP / (2 * product.outputs * product.inputs))))
    values = noise(rows * product.hop + product.inputs).to(dtype)
    windows = values.as_strided((rows, product.inputs), (product.hop, 1))
    residual = noise(rows, product.outputs).to(dtype)
    affine = noisy(product.outputs, product.inputs)

    def run(linear: Linear) -> Tensor:
        if product.use == "add":
            return linear.add(windows, residual)
        return linear.gelu(windows) if product.use == "gelu" else linear(windows)

    different = [kind for kind in kinds if product.use != "rows" or kind != "separate"]
    made = {kind: LINEARS[kind](affine, dtype, torch.device("cpu")) for kind in different}
    return {kind: (partial(run, linear), rows) for kind, linear in made.items()}


def layers(config: Any, dtype: torch.dtype, plan: Plan, team: Callable[[int, int], Team]) -> Candidates[int]:
    """A layer of the transformer by numbers of rows, the default first; its work in frames."""
    hidden, inner = config.hidden_size, config.intermediate_size
    norm = Norm(torch.ones(hidden), torch.zeros(hidden), 1e-5)
    weights = Layer(
        qkv=noisy(3 * hidden, hidden),
        out=noisy(hidden, hidden),
        norm=norm,
        up=noisy(inner, hidden),
        down=noisy(hidden, inner),
        final_norm=norm,
    )
    operators = OneDnnOperators(dtype, torch.device("cpu"), plan)
    layer = TransformerLayer(
        weights, config.num_attention_heads, bool(config.do_stable_layer_norm), operators
    )
    found: dict[int, tuple[Callable[[], object], int]] = {}
    for rows in dict.fromkeys((plan.rows, *ROWS)):
        workers = team(rows, operators.step)
        frames = max(2, workers.threads) * rows  # a single thread's rows are cut in two
        states = noise(frames, hidden).to(dtype)
        found[rows] = (partial(layer, states, spans([SPAN] * (frames // SPAN)), workers), frames)
    return found


def stacks(config: Any, dtype: torch.dtype, plan: Plan, team: Callable[[int, int], Team]) -> Candidates[int]:
    """The convolutions by lengths of tiles, the default first; its work in frames."""
    channels = [1, *config.conv_dim]
    shapes = zip(config.conv_dim, channels, config.conv_kernel, config.conv_stride, strict=False)
    ones = Norm(torch.ones(config.conv_dim[0]), torch.zeros(config.conv_dim[0]), 1e-5)
    group = config.feat_extract_norm == "group"
    weights = [
        Convolution(
            kernel=kernel,
            stride=stride,
            affine=noisy(outputs, kernel * inputs),
            time_norm=ones if group and number == 0 else None,
            channel_norm=None
            if group
            else replace(ones, weight=torch.ones(outputs), bias=torch.zeros(outputs)),
        )
        for number, (outputs, inputs, kernel, stride) in enumerate(shapes)
    ]
    found: dict[int, tuple[Callable[[], object], int]] = {}
    for tile in dict.fromkeys((plan.tile, *TILES)):
        operators = OneDnnOperators(dtype, torch.device("cpu"), replace(plan, tile=tile))
        stack, workers = ConvolutionStack(weights, operators), team(plan.rows, operators.step)
        frames = max(2, workers.threads) * tile
        waveform = noise(stack.samples(frames))
        found[tile] = (partial(stack, [waveform], [slice(0, frames)], workers), frames)
    return found


def noise(*shape: int) -> Tensor:
    return torch.empty(shape).uniform_(-1.0, 1.0, generator=torch.Generator().manual_seed(0))


def noisy(outputs: int, inputs: int) -> Affine:
    return Affine(noise(outputs, inputs) / inputs**0.5, noise(outputs))
