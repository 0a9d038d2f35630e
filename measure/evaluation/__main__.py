"""`make evaluate` and `make robustness`: how often a served model names the right speaker.

python -m measure.evaluation --data VoxCeleb1 --model wav2vec2-base-superb-sid

Exit codes: 0 every clip was answered, 1 some failed (they count as wrong), 2 wrong usage or nothing to evaluate with,
3 the server cannot be reached, 130 interrupted. Run again, it resumes where it stopped.
"""

from __future__ import annotations

import argparse
import csv
import sys
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from speaker_id.manifest import CheckpointError

from bundle import BundleError, sources
from bundle.command_line import Parser
from bundle.samples import FOLDER as SAMPLES
from bundle.spec import ModelSpec
from clients.identify import ClientError, Unreachable
from measure import command, server
from measure.evaluation import EvaluationError, corpus, report, run, terminal
from measure.evaluation.conditions import CLEAN, CONDITIONS
from measure.evaluation.endpoint import Endpoint
from measure.evaluation.journal import journal
from measure.evaluation.question import Answerer
from measure.evaluation.report import Report
from measure.results import save_json

UNFINISHED = "what was answered is kept: run it again to go on"


def evaluate(options: argparse.Namespace, console: Console) -> Report:
    """The whole evaluation; its files lie in a folder of their own below --out.

    Raises:
        EvaluationError, BundleError, CheckpointError, ClientError: it cannot be done.
    """
    asked_about = corpus.load(options.data, options.split_file, options.split)
    if options.limit:
        asked_about = asked_about.sample(options.limit)
    names = [CLEAN, *CONDITIONS] if options.robustness else [CLEAN]
    spec = known(options.model, options)
    with ExitStack() as stack:
        answerer = open_answerer(stack, options, spec, console)
        identity = answerer.identity()
        parts = (identity.model, identity.version, identity.through, corpus.slug(asked_about.name))
        folder = options.out / "evaluation" / "-".join(parts)
        kept = stack.enter_context(journal(folder / "journal.jsonl", identity))
        questions = run.missing(asked_about, names, kept)
        done = len(names) * len(asked_about.clips) - len(questions)
        if done:
            console.print(f"evaluate: going on: {done} of {done + len(questions)} are answered already")
        run.ask(answerer, questions, done, kept, console)
        found = report.build(identity, asked_about, names, kept.entries, spec)
    write(found, folder, console)
    return found


def known(model: str, options: argparse.Namespace) -> ModelSpec | None:
    """What models/ says about the model; another server may have models that are not there."""
    try:
        spec = sources.resolve(model)
    except BundleError:
        if options.url and not options.local:
            return None
        raise
    heads = ", ".join((*spec.heads, *spec.speaker_id.heads))
    if heads and not spec.speaker_id.default_head:
        raise EvaluationError(
            f"MODEL={model} has several heads ({heads}) and no default_head; only one classifier is evaluated"
        )
    return spec


def open_answerer(
    stack: ExitStack, options: argparse.Namespace, spec: ModelSpec | None, console: Console
) -> Answerer:
    if options.local:
        from measure.evaluation.local import Local  # here, not above: torch takes seconds

        assert spec is not None  # `known` has refused
        return Local(spec)
    specs = [spec] if spec is not None else []
    url, _ = stack.enter_context(
        server.chosen(options.url, specs, "evaluate", console, server=options.server)
    )
    name = spec.name if spec is not None else options.model
    return Endpoint(url, name, options.concurrency, options.token, options.timeout)


def write(found: Report, folder: Path, console: Console) -> None:
    terminal.show(found, console)
    save_json(found.model_dump(), folder / report.REPORT_FILE)
    with (folder / "speakers.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["speaker", "clips", "right", "failures", "taken_for"])
        for row in found.speakers:
            taken = " ".join(f"{label}×{times}" for label, times in row.taken_for.items())
            rows.writerow([row.speaker, row.clips, row.right, row.failures, taken])
    if len(found.conditions) > 1:
        from measure.evaluation import plot  # here, not above: matplotlib takes a second

        plot.draw(found, folder / "robustness.png")
    console.print(f"all of it: {folder}/")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser(prog="make evaluate", description="Count how often a model is right.", allow_abbrev=False)
    option = parser.add_argument
    option("--data", type=Path, help="VoxCeleb1's root, a folder speaker/clip.wav, or a CSV clip,label")
    option("--split-file", type=Path, help="VoxCeleb1's veri_test_class.txt or iden_split.txt (in the root)")
    option("--split", type=int, default=3, help="of VoxCeleb1: 1 train, 2 dev, 3 test (%(default)s)")
    option("--limit", type=int, default=0, help="only so many clips, always the same ones")
    server.add_options(parser)
    option("--local", action="store_true", help="no server: the handler's pipeline in this process")
    option("--concurrency", type=int, default=4, help="clips in flight at once (%(default)s)")
    option("--timeout", type=float, default=300.0, help="seconds to wait for an answer (%(default)s)")
    option("--robustness", action="store_true", help="also after codecs, noise, gain, cutting")
    option("--out", type=Path, default=Path("reports"), help="folder of journal and report (%(default)s)")
    option("--record", action="store_true", help="write the results into docs/results/accuracy.md")
    options = parser.parse_args(arguments)
    options.data = options.data or SAMPLES / "manifest.csv"
    if options.concurrency < 1 or options.limit < 0 or options.timeout <= 0:
        parser.error("--concurrency must be 1 or more, --limit 0 or more, --timeout above 0")
    if options.local and options.url:
        parser.error("--local asks no server: leave out --url")
    return options


def main(arguments: list[str] | None = None) -> int:
    options, console = parse(arguments), command.console()

    def work() -> int:
        try:
            found = evaluate(options, console)
        except CheckpointError as exc:
            raise EvaluationError(str(exc)) from exc
        except Unreachable as exc:
            print(f"evaluate: {exc}; {UNFINISHED}", file=sys.stderr)
            return 3
        except ClientError as exc:
            raise EvaluationError(f"the server does not answer the probe: {exc}") from exc
        if options.record:
            from measure.evaluation import page  # here, not above: matplotlib takes a second

            page.record(found)
        return 1 if found.failures else 0

    return command.guarded("evaluate", work, failed=2, hint=f"; {UNFINISHED}")


if __name__ == "__main__":
    sys.exit(main())
