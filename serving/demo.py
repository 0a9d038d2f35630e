"""`make demo`: serve the demo model, identify its sample clips and a stranger's over HTTP, show the answers, stop.

Exits with 0 only if every answer names the true speaker, and the stranger is unknown.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bundle import BundleError, sources
from bundle.command_line import Parser
from bundle.samples import STRANGERS, Sample, samples
from clients.identify import Answer, Client, ClientError, Label
from serving.arguments import add_server
from serving.model_servers import DEFAULT, Chosen, of
from serving.signals import SIGNALS
from serving.temporary import serving, step

MODEL = "demo"
SPEAKER, LANGUAGE = "speaker", "language"  # heads that share the pass
WIDTH = 150  # of the table without a terminal


@dataclass(frozen=True)
class Outcome:
    sample: Sample
    answer: Answer

    def ranked(self, head: str) -> list[Label]:
        """One head's labels, best first."""
        return [each for each in self.answer.labels if each.head == head]

    @property
    def right(self) -> bool:
        return self.ranked(SPEAKER)[0].label == self.sample.speaker


def identify_all(client: Client, clips: list[Sample], progress: Callable[[str], None]) -> Iterator[Outcome]:
    """Every clip, one after the other, so that each latency is that of a single request."""
    for number, sample in enumerate(clips, 1):
        if number % 8 == 0:
            progress(f"{number} of {len(clips)}")
        yield Outcome(sample, client.identify(sample.path, heads=f"{SPEAKER},{LANGUAGE}"))


def table(outcomes: list[Outcome], server: str) -> Table:
    """One row a clip: speaker, best answer, the next ones, the best language, latency."""
    shown = Table(title=f"Held-out clips, identified by the DEMO model through {server}", box=SIMPLE_HEAD)
    shown.add_column("clip", overflow="ellipsis", no_wrap=True, min_width=20)
    for heading in ("speaker", "answer"):
        shown.add_column(heading, no_wrap=True)
    shown.add_column("score", justify="right")
    shown.add_column("next")
    shown.add_column("language", no_wrap=True)
    shown.add_column("ms", justify="right")
    for outcome in outcomes:
        best, *others = outcome.ranked(SPEAKER)
        language = outcome.ranked(LANGUAGE)[0]
        shown.add_row(
            outcome.sample.path.name,
            outcome.sample.speaker,
            best.label,
            f"{best.score:.3f}",
            "\n".join(f"{each.label} {each.score:.3f}" for each in others[:2]),
            f"{language.label} {language.score:.3f}",
            f"{1000 * outcome.answer.seconds:.0f}",
            style=None if outcome.right else "bold red",
        )
    return shown


def demo(console: Console, chosen: Chosen) -> int:
    """Run the demo; returns the exit code. Its folder is kept only after a failure, for the logs."""
    spec, clips = sources.resolve(MODEL), [*samples(), *samples(STRANGERS)]
    with (
        serving([spec], "demo", console, chosen) as service,
        Client(service.gateway.url, spec.name) as client,
        step(console, "demo", "identifying") as progress,
    ):
        outcomes = list(identify_all(client, clips, progress))
    console.print(table(outcomes, of(chosen.name).title))
    other = "" if chosen.name == DEFAULT.name else f" SERVER={chosen.name}"
    right = sum(outcome.right for outcome in outcomes)
    console.print(
        f"{right} of {len(outcomes)} right. The last is a stranger. This is a demo model: it knows six recorded voices "
        f"and takes some strangers for one of them. `make serve{other}` keeps it running."
    )
    return 0 if right == len(outcomes) else 1


def main() -> int:
    parser = Parser(prog="python -m serving.demo", description="Identify the demo model's sample clips.")
    add_server(parser)
    args = parser.parse_args()
    terminal = Console()
    console = terminal if terminal.is_terminal else Console(width=WIDTH)
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        return demo(console, Chosen(args.server))
    except (BundleError, ClientError) as exc:
        print(f"demo: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
