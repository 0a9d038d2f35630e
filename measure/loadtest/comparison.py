"""A recorded comparison: one command measures a model server under several conditions, keeps the result beside those of
other servers, and writes a part about each into a page of docs/results.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from bundle import sources
from bundle.command_line import Parser
from measure import command, noise
from measure.document import Page, Table, join, recorded
from measure.loadtest.run import PACKAGES
from measure.machine import provenance, where
from measure.results import load_json, save_json
from serving import model_servers
from serving.gateway.options import GatewayOptions
from serving.model_servers import Chosen
from serving.service import Service
from serving.temporary import serving

MODEL = "demo"
Content = dict[str, Any]  # what is recorded of one server
Kind = TypeVar("Kind", bound="Run")


@dataclass(frozen=True)
class Run:
    """Figures of one run, or of one phase of it, under one condition.

    Attributes:
        latencies: in milliseconds from the scheduled send time, ascending.
        failed: requests without an answer.
    """

    condition: str
    round: int
    latencies: tuple[float, ...]
    failed: int

    def row(self) -> dict[str, Any]:
        """What a JSON file has of it; the latencies are one line."""
        return {**asdict(self), "latencies": " ".join(map(str, self.latencies))}

    @classmethod
    def of(cls: type[Kind], row: Mapping[str, Any]) -> Kind:
        """The inverse of `row`."""
        return cls(**{**row, "latencies": tuple(map(float, row["latencies"].split()))})


def served(settings: Mapping[str, Any]) -> str:
    """What was measured, by its settings: a model server, and a model that is not the demo."""
    server, model = settings["server"], settings.get("model", MODEL)
    return server if model == MODEL else f"{server}, {Path(model).name}"


def milliseconds(latencies: Iterable[float]) -> tuple[float, ...]:
    """Seconds → what a run has of them."""
    return tuple(sorted(round(1000 * each, 1) for each in latencies))


@dataclass(frozen=True)
class Comparison:
    """What `python -m measure.NAME` records, and its part of a page.

    Attributes:
        name: NAME.
        folder: of its results.
        page: that has a part about each server.
        heading: of such a part; {} is the server.
        method: how it was measured, in words, of the settings.
        figures: tables and sentences, of what was recorded of one server.
    """

    name: str
    folder: Path
    page: Page
    heading: str
    method: Callable[[dict[str, Any]], str]
    figures: Callable[[Content], Sequence[Table | str]]

    @property
    def command(self) -> str:
        return f"python -m measure.{self.name}"

    @property
    def file(self) -> Path:
        return self.folder / f"{self.name}.json"

    def parser(self, description: str, rounds: tuple[int, str], seconds: tuple[float, str]) -> Parser:
        """With the options that all have.

        Args:
            description: of the command.
            rounds, seconds: how many, and what each is.
        """
        parser = Parser(prog=self.command, description=description)
        servers, default = model_servers.NAMES, model_servers.DEFAULT.name
        parser.add_argument("--server", choices=servers, default=default, help="(%(default)s)")
        for name, (value, help) in (("--rounds", rounds), ("--seconds", seconds)):
            parser.add_argument(name, type=type(value), default=value, help=f"{help} (%(default)s)")
        return parser

    def main(
        self,
        parser: Parser,
        arguments: Sequence[str] | None,
        quick: Mapping[str, Any],
        measure: Callable[[Namespace, Console], Content],
    ) -> int:
        """Measure, show the result, and record it; gives the exit code.

        Args:
            parser: of the options.
            arguments: of the command line.
            quick: what --quick sets.
            measure: gives what is recorded beside provenance and settings; `runs` among it.
        """
        options = command.parsed(parser, arguments, quick)

        def work() -> None:
            screen, neighbours = command.console(), noise.Neighbours()
            found = measure(options, screen)
            settings = {name: value for name, value in vars(options).items() if name != "no_record"}
            content: Content = {
                "provenance": provenance(*PACKAGES),
                "foreign_cores": neighbours.cores(),
                "settings": settings,
                **found,
            }
            if not options.no_record:
                self.record(content)
            for each in self.figures(content):
                screen.print(each.rich() if isinstance(each, Table) else each)

        return command.guarded(f"measure.{self.name}", work)

    def service(
        self, options: Namespace, screen: Console, gateway: GatewayOptions | None = None, model: str = MODEL
    ) -> AbstractContextManager[Service]:
        """A server for the length of the block, of the kind that the options name."""
        name = self.name.replace("_", "-")
        return serving([sources.resolve(model)], name, screen, Chosen(options.server), gateway)

    def record(self, content: Content) -> None:
        """Keep the result of this server, and model, beside those of others, and write the page again."""
        kept = load_json(self.file, self.command) if self.file.exists() else {}
        save_json({**kept, served(content["settings"]): content}, self.file)
        self.page.write(self.text(self.folder))

    def text(self, results: Path) -> str:
        """The page's part about the results of a folder."""
        return recorded(results / self.file.name, self.command, self._servers)

    def write(self) -> int:
        """The command that writes the page's part from recorded results; gives its exit code."""
        return self.page.main(self.text, self.folder)

    def _servers(self, kept: dict[str, Content]) -> str:
        return join(
            *(
                part
                for server, content in kept.items()
                for part in (
                    f"### {self.heading.format(server)}",
                    f"{where(content['provenance'])}; {self.method(content['settings'])}. "
                    f"{noise.words(content['foreign_cores'])}",
                    *self.figures(content),
                )
            )
        )
