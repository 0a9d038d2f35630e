"""With which kernels a processor computes the packed encoder, as text: in the log, in a kept file and in a setting.

    rows=512 tile=48 fused 3072x768=separate

Words may be left out; what none of them names is as in `Plan()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

AUTO = "auto"  # of the setting: what is fastest here
FOLDER_VARIABLE = "SPEAKER_ID_KERNELS"  # of the environment: where measured plans are kept
# of the environment: with which a user restricts the instructions that oneDNN, MKL and torch use
RESTRICTIONS = ("ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "ATEN_CPU_CAPABILITY")
Kind = Literal["fused", "separate", "plain"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FORM = "rows=N, tile=N, and fused, separate or plain, alone or after OUTPUTSxINPUTS="


@dataclass(frozen=True)
class Plan:
    """A choice of kernels. Any is exact; they differ in speed, and in the last digits of an answer.

    Attributes:
        rows: most rows that a chain of products computes at once.
        tile: most frames of a clip that the convolutions compute at once.
        kind: what multiplies, see `onednn.LINEARS`.
        products: the same for products of some shapes, "outputsxinputs".
    """

    rows: int = 256
    tile: int = 48
    kind: Kind = "fused"
    products: Mapping[str, Kind] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Plan:
        """Raise ValueError for a text that says no plan."""
        numbers: dict[str, int] = {}
        products: dict[str, Kind] = {}
        kind = cls.kind
        for word in text.split():
            name, _, value = word.rpartition("=")
            if name in ("rows", "tile"):
                if not value.isdecimal() or not 16 <= int(value) <= 1 << 16:
                    raise ValueError(f"{word!r}: {name} is a whole number from 16 to {1 << 16}")
                numbers[name] = int(value)
            elif value not in KINDS:
                raise ValueError(f"{word!r} is none of {FORM}")
            elif not name:
                kind = of_name(value)
            elif all(side.isdecimal() for side in name.split("x")) and name.count("x") == 1:
                products[name] = of_name(value)
            else:
                raise ValueError(f"{word!r} is none of {FORM}")
        values: dict[str, Any] = {**numbers, "kind": kind, "products": products}
        return cls(**values)

    def __str__(self) -> str:
        others = [f"{shape}={kind}" for shape, kind in self.products.items() if kind != self.kind]
        return " ".join([f"rows={self.rows}", f"tile={self.tile}", self.kind, *others])

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """All that it names."""
        return tuple(dict.fromkeys((self.kind, *self.products.values())))

    def of(self, outputs: int, inputs: int) -> Kind:
        """Return what multiplies, in a product of a shape."""
        return self.products.get(f"{outputs}x{inputs}", self.kind)


def of_name(name: str) -> Kind:
    return KINDS[KINDS.index(name)]
