"""Identify an archive of recordings, a million if need be: one line of JSON a clip, each clip exactly once.

    python -m clients.batch --in recordings/ --out answers.jsonl --url http://127.0.0.1:8080 --model demo
    make batch IN=list.csv OUT=answers.jsonl

A run that was ended, killed too, goes on where it stopped when it is started again. It is a considerate caller: it asks
less while its requests wait behind others', and waits as long as the server asks it to. It needs this folder, Python
3.10+ and `requests`. Progress goes to standard error: a bar on a terminal where `rich` is installed, else a line every
ten seconds.

Exit codes: 0 every clip was identified, 1 some were not (their lines have `error` and `code`), 2 wrong usage, or the
server refuses whatever clip it is, 3 the server was not there for longer than --patience, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from clients import identify
from clients.batch.answers import Answers, BatchError, Entry, entries
from clients.batch.pace import Pace
from clients.batch.run import Batch
from clients.identify import Client

SAY_SECONDS = 10.0  # between lines of progress where there is no terminal


def shown(done: Iterator[Entry], answers: Answers, total: int, before: int) -> None:
    """Take what is done, with a progress bar on a terminal, else a line now and then."""
    if sys.stderr.isatty():
        with contextlib.suppress(ImportError):
            from rich.console import Console
            from rich.progress import track

            steps = track(done, "batch", total, before, console=Console(stderr=True))
            for _ in steps:
                pass
            return
    with said(answers, total, before):
        for _ in done:
            pass


@contextlib.contextmanager
def said(answers: Answers, total: int, before: int) -> Iterator[None]:
    """Print a line every SAY_SECONDS, also while the server keeps every clip waiting."""
    began, known, ended = time.monotonic(), len(answers.done), threading.Event()

    def report() -> None:
        while not ended.wait(SAY_SECONDS):
            number = len(answers.done) - known
            rate = number / (time.monotonic() - began)
            left = f"{(total - before - number) / rate / 60:.0f} min left, " if number else ""
            say(f"{before + number:,} of {total:,} clips, {rate:.1f}/s, {left}{answers.failed:,} failed")

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def say(text: str) -> None:
    print(f"batch: {text}", file=sys.stderr, flush=True)


def main(
    arguments: list[str] | None = None, parser_class: type[argparse.ArgumentParser] = argparse.ArgumentParser
) -> int:
    parser = parser_class(prog="python -m clients.batch", description="Identify an archive of recordings.")
    option = parser.add_argument
    source = "a folder, or a list of files (CSV: the column clip, path or file, else the first)"
    option("--in", dest="source", type=Path, required=True, help=source)
    answers_file = "file of answers, a line of JSON for each clip; an earlier run's is continued"
    option("--out", type=Path, required=True, help=answers_file)
    identify.add_server_options(parser)
    option("--concurrency", type=int, default=16, help="most clips in flight at once (%(default)s)")
    option(
        "--patience", type=float, default=600.0, help="s that the server may be away or full (%(default)g)"
    )
    args = parser.parse_args(arguments)
    if args.concurrency < 1 or args.patience < 0:
        parser.error("--concurrency must be 1 or more, --patience 0 or more")
    server = identify.server_options(parser, args)
    try:
        wanted = entries(args.source)
        answers = Answers(args.out, args.model)
        with contextlib.closing(answers), Client(args.url, args.model, **server) as client:
            before = sum(entry.name in answers.done for entry in wanted)
            say(f"{before:,} of {len(wanted):,} clips have answers in {args.out}")
            batch = Batch(client, answers, Pace(args.concurrency), args.patience, {"top_k": args.top_k})
            shown(batch.run(wanted), answers, len(wanted), before)
    except (BatchError, OSError) as exc:
        say(str(exc))
        return exc.code if isinstance(exc, BatchError) else 2
    except KeyboardInterrupt:
        return 130
    say(f"{len(answers.done):,} answers in {args.out}, {answers.failed:,} of them errors")
    return 1 if answers.failed else 0
