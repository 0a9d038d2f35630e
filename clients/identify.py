"""Who speaks? Send audio files to a speaker identification server and print its answers.

    python identify.py interview.wav recordings/ --top-k 3
    arecord -d 5 -f cd | python identify.py -
    python identify.py recordings/ --format jsonl > answers.jsonl
    python identify.py meeting.wav --windows 3,1.5 --rttm > meeting.rttm

One file on purpose, though long, so that it can be copied: Python 3.10+ and `requests`, with the urllib3 2.2 or newer
that it brings, are all it needs; `rich` or `tqdm` shows progress where one is installed.

    from identify import Client
    with Client("http://127.0.0.1:8080", "demo") as client:
        print(client.identify("interview.wav").labels[0])

Exit codes: 0 every clip was identified, 1 some were not, 2 wrong usage, 3 the server cannot be reached, 130 Ctrl-C,
141 the reader of the output has gone (`| head`).
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import math
import os
import random
import re
import sys
import threading
import time
import wave
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from ssl import SSLCertVerificationError
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from urllib3 import BaseHTTPResponse, Retry
from urllib3.exceptions import DecodeError, HTTPError, InvalidHeader, ReadTimeoutError

BUSY = {429, 503, 507}  # too many requests, no worker free, the worker died: a retry may succeed
BACKOFF_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 30.0
LARGEST_ANSWER = 16 << 20  # bytes; all labels of a large model need far less
# Seconds; sockets take no much larger number, so beyond it there is no limit.
LONGEST_TIMEOUT = 1e6
WORK = re.compile(r"\b(?:decode|inference);dur=([0-9]+(?:[.][0-9]+)?)")  # ms, in Server-Timing
TOO_LONG, TOO_SHORT = "recording_too_long", "audio_too_short"
UNKNOWN = "unknown"
PIECE = 64 << 10  # bytes of an answer that are read at a time
ENVIRONMENT_TOKEN = "SPEAKER_ID_TOKEN"  # noqa: S105  # the variable's name
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
# To choose files in folders: the formats that the server decodes. A file that is given by name is sent whatever its
# suffix: the server recognises the content.
SUFFIXES = {
    ".wav", ".wave", ".bwf", ".rf64", ".bw64", ".w64", ".aiff", ".aif", ".aifc", ".au", ".snd", ".sph",
    ".nist", ".voc", ".caf", ".flac", ".ogg", ".oga", ".opus", ".spx", ".m4a", ".mp4", ".m4b", ".mov",
    ".qt", ".3gp", ".3g2", ".webm", ".mka", ".mkv", ".amr", ".awb", ".mp3", ".mp2", ".mpga", ".aac",
    ".adts",
}  # fmt: skip


class ClientError(Exception):
    """A clip was not identified; the message is one line.

    ├── Unreachable   no connection, or it broke
    │   └── TimedOut  no whole answer in time
    ├── Refused       the server answered with an error: `status`, `code`
    ├── Unsplittable  a recording that is too long, in a format that cannot be cut here
    └── BadAnswer     something answered that is no speaker identification server
    """

    code = "client_error"


class Unreachable(ClientError):
    code = "unreachable"


class TimedOut(Unreachable):
    code = "timed_out"


class BadAnswer(ClientError):
    code = "bad_answer"


class Refused(ClientError):
    """`seconds` says how much of a recording fits, where it is too long."""

    def __init__(self, status: int, code: str, message: str, seconds: float | None = None) -> None:
        super().__init__(f"{message} ({status} {code})")
        self.status, self.code, self.seconds = status, code, seconds


class Unsplittable(ClientError):
    code = "unsplittable"


@dataclass(frozen=True)
class Label:
    """One label; `head` names the classifier of a model that has several (intent: action, object, location)."""

    label: str
    score: float
    head: str | None = None


@dataclass(frozen=True)
class Answer:
    """The server's answer for one clip.

    Attributes:
        labels: best first; of a model of several heads, each head's best first, one head after the other.
        body: the answer as it came.
        seconds: until the whole answer was there, waiting and further attempts included.
        attempts: 1 unless the server was busy or the connection broke.
        request_id: what to quote when asking about this request.
        model_version: of the model that answered.
        audio_seconds: length of the clip, as the server decoded it.
        work_seconds: that the server decoded and inferred; the rest of `seconds` is waiting and transport.
    """

    labels: list[Label]
    body: str
    seconds: float
    attempts: int
    request_id: str | None = None
    model_version: str | None = None
    audio_seconds: float | None = None
    work_seconds: float | None = None


class Patience(Retry):
    """Retries with a growing, randomised back-off while the server is busy or the connection breaks. Not after a
    timeout: the server has been working on the request, and would start again."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        *rest: Any,
        **named: Any,
    ) -> Patience:
        if error and (
            isinstance(error, ReadTimeoutError) or isinstance(_cause(error), SSLCertVerificationError)
        ):
            raise error
        return super().increment(method, url, response, error, *rest, **named)

    def get_backoff_time(self) -> float:
        """Seconds: a random share, half to all, of a time that doubles with every attempt."""
        longest = BACKOFF_SECONDS * 2.0 ** (min(len(self.history), 32) - 1)
        return min(longest, LONGEST_WAIT_SECONDS) * random.uniform(0.5, 1.0)  # noqa: S311  # no secret

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Seconds: what the server asks for plus a back-off, or all callers that it refused would return at once."""
        try:
            asked = super().get_retry_after(response)
        except InvalidHeader:
            asked = None
        return None if asked is None else min(asked, LONGEST_WAIT_SECONDS) + self.get_backoff_time()


class Client:
    """A server's model. Threads may share it: each gets its own connection.

    Args:
        url: base address of the server.
        model: the name it is served under.
        version: of the model; the server's default if None.
        token: sent as `Authorization: Bearer`.
        cacert: file of the certificates that the server's must be signed by, PEM; if None, that of the variable
            REQUESTS_CA_BUNDLE, else those that `requests` brings.
        timeout: seconds to connect; seconds to wait for the answer to begin, and again for it to be whole; infinity is
            no limit.
        retries: further attempts, see Patience. Identifying changes nothing on the server, so they are safe.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        model: str = "demo",
        *,
        version: str | None = None,
        token: str | None = None,
        cacert: str | Path | None = None,
        timeout: tuple[float, float] = (5.0, 300.0),
        retries: int = 4,
    ) -> None:
        parts = [model, version] if version else [model]
        self.url = "/".join([url.rstrip("/"), "predictions", *(quote(part, safe="") for part in parts)])
        self._headers = {"Content-Type": "application/octet-stream", "Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        # Here and in every request: in `requests` the variable overrides a session's own setting, and is read only
        # together with the proxies' variables.
        self._trusted: str | bool = str(cacert or os.environ.get("REQUESTS_CA_BUNDLE") or "") or True
        self._timeout = timeout
        self._limits = _limit(timeout[0]), _limit(timeout[1])
        self._patience = Patience(
            retries,
            allowed_methods=None,  # POST too
            status_forcelist=BUSY,
            raise_on_status=False,  # the last refusal is an answer that states its reason
        )
        self._local = threading.local()
        self._sessions: list[requests.Session] = []

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        for session in self._sessions:
            session.close()

    def identify(
        self,
        clip: str | Path | bytes,
        *,
        top_k: int | None = None,
        function_to_apply: str | None = None,
        heads: str | None = None,
        fpir: float | None = None,
        min_score: float | None = None,
    ) -> Answer:
        """Identify the speaker of one clip.

        Args:
            clip: path of an audio file, or its bytes, in any format that the server decodes.
            top_k: how many labels, best first; the server's default is five.
            function_to_apply: `softmax`, `sigmoid` or `none`; the model's own if None.
            heads: names of heads with commas between them, or `all`; the model's default ones if None.
            fpir: of a model that may answer `unknown`: the share of strangers' clips that may get another label.
            min_score: or the probability that a label must reach; a model that never answers it refuses both.

        Raises:
            Unreachable, TimedOut, Refused, BadAnswer: see ClientError.
            OSError: the file cannot be read.
        """
        data = clip if isinstance(clip, bytes) else Path(clip).read_bytes()
        began = time.monotonic()
        response, body = self._ask(
            data,
            {
                "X-Top-K": top_k,
                "X-Function-To-Apply": function_to_apply,
                "X-Heads": heads,
                "X-Fpir": fpir,
                "X-Min-Score": min_score,
            },
        )
        length = response.headers.get("x-audio-seconds", "")
        work = WORK.findall(response.headers.get("server-timing", ""))
        return Answer(
            labels=_labels(response, body),
            body=body.decode(errors="replace").strip(),
            seconds=time.monotonic() - began,
            attempts=1 + len(response.raw.retries.history if response.raw.retries else ()),
            request_id=response.headers.get("x-request-id"),
            model_version=response.headers.get("x-model-version"),
            audio_seconds=float(length) if length.replace(".", "", 1).isdecimal() else None,
            work_seconds=sum(map(float, work)) / 1000 if work else None,
        )

    def windows(
        self, recording: str | Path | bytes, windows: tuple[float, float], **options: Any
    ) -> list[dict[str, Any]]:
        """Identify who speaks in each window of a recording; one that is too long for a request is split.

        Args:
            recording: as of `identify`.
            windows: seconds of a window, and from one's start to the next one's.
            options: those of `identify`.

        Returns:
            `[{"start", "end", "ranking"}, …]`; of several heads, `ranking` has one for each by its name.

        Raises:
            Unsplittable: it is too long, and no PCM WAV.
            As `identify`.
        """
        data = recording if isinstance(recording, bytes) else Path(recording).read_bytes()
        seconds, hop = windows
        try:
            return self._windows(data, windows, options)
        except Refused as refusal:
            if refusal.code != TOO_LONG or not refusal.seconds:
                raise
            fits = refusal.seconds
        whole, number = Wav(data, fits), 0  # of the window that is next
        found: list[dict[str, Any]] = []
        while not number or (number - 1) * hop + seconds < whole.seconds:
            count = 1 + math.floor((fits - seconds) / hop + 1e-9)
            if count < 1:
                raise Unsplittable(f"only {fits:g} s fit in a request, less than a window of {seconds:g} s")
            start = number * hop
            part = whole.part(start, start + (count - 1) * hop + seconds)
            try:
                answered = self._windows(part, windows, options)
            except Refused as refusal:
                if refusal.code == TOO_LONG and refusal.seconds and refusal.seconds < fits:
                    fits = refusal.seconds  # the server is busier than before
                    continue
                if refusal.code == TOO_SHORT and found:
                    break  # a rest that makes no window
                raise
            found += [
                {**each, "start": round(each["start"] + start, 6), "end": round(each["end"] + start, 6)}
                for each in answered
            ]
            number += count
        return found

    def _windows(
        self, data: bytes, windows: tuple[float, float], options: dict[str, Any]
    ) -> list[dict[str, Any]]:
        named = {f"X-{name.replace('_', '-').title()}": value for name, value in options.items()}
        response, body = self._ask(data, {**named, "X-Windows": "{:g};hop={:g}".format(*windows)})
        answer = _checked(response, body)
        with contextlib.suppress(TypeError, KeyError, ValueError):
            return [
                {"start": float(each["start"]), "end": float(each["end"]), "ranking": each["ranking"]}
                for each in answer["windows"]
            ]
        raise BadAnswer(
            f"{self.url} answered {response.status_code} without windows: does it know X-Windows?"
        )

    def _ask(self, data: bytes, options: dict[str, Any]) -> tuple[requests.Response, bytes]:
        # how long the caller waits: after that the server does not work on the request
        options = {**options, "X-Request-Timeout": self._limits[1]}
        headers = self._headers | {name: str(value) for name, value in options.items() if value is not None}
        try:
            with self._session().post(
                self.url,
                data,
                headers=headers,
                timeout=self._limits,
                allow_redirects=False,
                stream=True,
                verify=self._trusted,
            ) as response:
                return response, self._read(response)
        except (requests.ReadTimeout, ReadTimeoutError) as exc:
            raise TimedOut(f"no answer from {self.url} within {self._timeout[1]:g} s") from exc
        except DecodeError as exc:
            raise BadAnswer(f"{self.url} answered with a body that does not decode: {_why(exc)}") from exc
        except (requests.ConnectionError, HTTPError) as exc:
            raise Unreachable(f"cannot reach {self.url}: {_why(exc)}") from exc
        except (requests.RequestException, ValueError) as exc:
            raise BadAnswer(f"cannot send to {self.url}: {_why(exc)}") from exc

    def _read(self, response: requests.Response) -> bytes:
        """The whole body, bounded in time and size: `requests` bounds only the time between two bytes."""
        body, deadline = bytearray(), time.monotonic() + self._timeout[1]
        while piece := response.raw.read1(PIECE, decode_content=True):
            body += piece
            if len(body) > LARGEST_ANSWER:
                raise BadAnswer(f"{self.url} answered with more than {LARGEST_ANSWER >> 20} MiB")
            if time.monotonic() > deadline:
                raise TimedOut(f"no complete answer from {self.url} within {self._timeout[1]:g} s")
        return bytes(body)

    def _session(self) -> requests.Session:
        """This thread's session: `requests` does not guarantee that threads can share one."""
        if not hasattr(self._local, "session"):
            session = self._local.session = requests.Session()
            # a proxy from the environment cannot reach this machine's loopback
            session.trust_env = urlsplit(self.url).hostname not in LOOPBACK
            for scheme in ("http://", "https://"):
                session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=self._patience))
            self._sessions.append(session)
        found: requests.Session = self._local.session
        return found


def identify(clip: str | Path | bytes, top_k: int | None = None, **server: Any) -> Answer:
    """Identify one clip with `Client(**server)`."""
    with Client(**server) as client:
        return client.identify(clip, top_k=top_k)


def _checked(response: requests.Response, content: bytes) -> Any:
    """The JSON of an answer, None if it is none; raises the error that it states."""
    body: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        body = json.loads(content)
    if isinstance(body, dict) and "error" in body and "code" in body:
        seconds = body.get("seconds")
        fits = float(seconds) if isinstance(seconds, (int, float)) else None
        raise Refused(response.status_code, str(body["code"]), str(body["error"]), fits)
    if response.status_code >= 400:
        raise Refused(response.status_code, "http_error", response.reason or "no reason given")
    return body if response.ok else None


def _labels(response: requests.Response, content: bytes) -> list[Label]:
    """The labels of an answer; raises the error that it states."""
    body = _checked(response, content)
    if isinstance(body, list) or (isinstance(body, dict) and body and "error" not in body):
        rankings = body.items() if isinstance(body, dict) else [(None, body)]
        with contextlib.suppress(TypeError, KeyError, ValueError):
            return [
                Label(str(entry["label"]), float(entry["score"]), head)
                for head, ranking in rankings
                for entry in ranking
            ]
    raise BadAnswer(f"{response.url} answered {response.status_code} without a list of labels")


class Wav:
    """A PCM WAV, to be cut. Raises Unsplittable for anything else.

    Args:
        data: the file.
        fits: seconds that the server takes, for the message.
    """

    def __init__(self, data: bytes, fits: float) -> None:
        self._data = data
        try:
            with wave.open(io.BytesIO(data)) as reader:
                self._rate = reader.getframerate()
                self.seconds = reader.getnframes() / self._rate
        except (wave.Error, EOFError) as exc:
            raise Unsplittable(
                f"the server takes {fits:g} s at a time, and only PCM WAV can be cut here: convert it, with "
                "ffmpeg -i RECORDING -ac 1 -ar 16000 recording.wav"
            ) from exc

    def part(self, start: float, end: float) -> bytes:
        """The file of a part, in seconds."""
        first = round(start * self._rate)
        cut = io.BytesIO()
        with wave.open(io.BytesIO(self._data)) as reader, wave.open(cut, "wb") as writer:
            reader.setpos(first)
            writer.setparams(reader.getparams())
            writer.writeframes(reader.readframes(round(end * self._rate) - first))
        return cut.getvalue()


def turns_of(windows: list[dict[str, Any]], head: str | None = None) -> list[dict[str, Any]]:
    """Adjacent windows of one label as `[{"start", "end", "label", "score"}, …]`, as the server merges them.

    Where windows overlap, one ends and the next begins in the middle of what they share; the score is their mean.
    """
    bounds = [(before["end"] + after["start"]) / 2 for before, after in pairwise(windows)]
    starts, ends = (
        [*(each["start"] for each in windows[:1]), *bounds],
        [*bounds, *(each["end"] for each in windows[-1:])],
    )
    best = [(each["ranking"][head] if head else each["ranking"])[0] for each in windows]
    turns = []
    for label, group in groupby(range(len(windows)), key=lambda at: best[at]["label"]):
        run = list(group)
        score = sum(best[at]["score"] for at in run) / len(run)
        times = {"start": round(starts[run[0]], 6), "end": round(ends[run[-1]], 6)}
        turns.append({**times, "label": label, "score": score})
    return turns


def _limit(seconds: float) -> float | None:
    return None if seconds > LONGEST_TIMEOUT else seconds


def _cause(exc: BaseException) -> BaseException:
    while (inner := exc.__cause__ or exc.__context__) is not None:
        exc = inner
    return exc


def _why(exc: BaseException) -> str:
    """The innermost cause of an exception from `requests`, in its own words."""
    cause = _cause(exc)
    if isinstance(cause, SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message}"
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__


# {"clip", "labels", "seconds"}, of a recording {"clip", "windows", "turns"}, or {"clip", "error", "code"}
Record = dict[str, Any]


def run(
    client: Client,
    names: list[str],
    concurrency: int,
    windows: tuple[float, float] | None = None,
    **options: Any,
) -> Iterator[Record]:
    """Identify clips, or windows of recordings, `concurrency` at a time; records come in the clips' order.

    Raises:
        Unreachable: the server is not there, so that the remaining clips need not be tried.
    """

    def one(name: str) -> Record:
        try:
            audio = sys.stdin.buffer.read() if name == "-" else name
            if windows:
                return recorded(name, client.windows(audio, windows, **options))
            answer = client.identify(audio, **options)
        except (ClientError, OSError) as exc:
            if isinstance(exc, Unreachable) and not isinstance(exc, TimedOut):  # not only this clip's error
                raise
            return {"clip": name, "error": str(exc), "code": getattr(exc, "code", "unreadable_file")}
        return {"clip": name, "labels": [record(each) for each in answer.labels], "seconds": answer.seconds}

    pool = ThreadPoolExecutor(concurrency)
    try:
        yield from pool.map(one, names)
    finally:
        pool.shutdown(cancel_futures=True)


def recorded(name: str, windows: list[dict[str, Any]]) -> Record:
    """A recording's record: `turns` is a list, or an object of such lists by the heads' names."""
    heads = windows[0]["ranking"] if windows and isinstance(windows[0]["ranking"], dict) else None
    turns = {head: turns_of(windows, head) for head in heads} if heads else turns_of(windows)
    return {"clip": name, "windows": windows, "turns": turns}


def record(label: Label) -> dict[str, Any]:
    return {name: value for name, value in vars(label).items() if value is not None}


def _name(label: dict[str, Any]) -> str:
    return f"{label['head']}: {label['label']}" if "head" in label else str(label["label"])


def clips(names: Iterable[str]) -> Iterator[str]:
    """Files and `-` as given, folders as the audio files in them; raises FileNotFoundError for others."""
    for name in names:
        path = Path(name)
        if path.is_dir():
            yield from sorted(str(file) for file in path.rglob("*") if _is_audio(file))
        elif name == "-" or path.exists():
            yield name
        else:
            raise FileNotFoundError(f"no such file or folder: {name}")


def _is_audio(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and file.is_file()  # folders may have such names


def with_progress(records: Iterator[Record], total: int) -> Iterable[Record]:
    """The records, with a progress bar on the terminal unless the records are printed there."""
    if total > 1 and sys.stderr.isatty() and not sys.stdout.isatty():
        with contextlib.suppress(ImportError):
            from rich.console import Console
            from rich.progress import track

            return track(records, "identifying", total, console=Console(stderr=True))
        with contextlib.suppress(ImportError):
            from tqdm import tqdm

            shown: Iterable[Record] = tqdm(records, "identifying", total, unit="clip")
            return shown
    return records


def print_table(records: Iterable[Record]) -> None:
    for record in records:
        if "error" in record:
            print(f"{record['clip']}: error: {record['error']}", flush=True)
            continue
        if "turns" in record:
            print(f"{record['clip']}:", flush=True)
            for turn in _turns(record):
                print(
                    f"{turn['start']:10.2f} {turn['end']:10.2f}  {_name(turn)} {turn['score']:.3f}",
                    flush=True,
                )
            continue
        ranking = "  ".join(f"{_name(each)} {each['score']:.3f}" for each in record["labels"])
        print(f"{record['clip']}: {ranking}  ({1000 * record['seconds']:.0f} ms)", flush=True)


def print_json(records: Iterable[Record]) -> None:
    """One array, complete also when the run ends early."""
    opening = "["
    try:
        for record in records:
            print(opening, json.dumps(record, indent=2), sep="\n", end="", flush=True)
            opening = ","
    finally:
        print("[]" if opening == "[" else "\n]", flush=True)


def print_jsonl(records: Iterable[Record]) -> None:
    for record in records:
        print(json.dumps(record), flush=True)


def print_csv(records: Iterable[Record]) -> None:
    """One row a label; a failed clip has one row without label and score."""
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(["clip", "rank", "label", "score", "error"])
    for record in records:
        for rank, each in enumerate(record.get("labels", []), 1):
            rows.writerow([record["clip"], rank, _name(each), each["score"], ""])
        if "error" in record:
            rows.writerow([record["clip"], "", "", "", record["error"]])


def print_csv_of_turns(records: Iterable[Record]) -> None:
    """One row a turn; a failed recording has one row with its error alone."""
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(["clip", "start", "end", "label", "score", "error"])
    for record in records:
        for turn in _turns(record):
            rows.writerow([record["clip"], turn["start"], turn["end"], _name(turn), turn["score"], ""])
        if "error" in record:
            rows.writerow([record["clip"], "", "", "", "", record["error"]])


def of_one_head(record: Record) -> Record:
    """The record, or an error where RTTM cannot say what it holds."""
    if isinstance(record.get("turns"), list) or "error" in record:
        return record
    error = f"RTTM is of one head: choose it with --heads, of {', '.join(record['turns'])}"
    return {"clip": record["clip"], "error": error, "code": "several_heads"}


def print_rttm(records: Iterable[Record]) -> None:
    """NIST's RTTM, a line a turn; `unknown` has none, as on the server."""
    for record in records:
        if "error" in record:
            print(f"{record['clip']}: error: {record['error']}", file=sys.stderr, flush=True)
        for turn in record.get("turns", []):
            if turn["label"] != UNKNOWN:
                name, label = ("_".join(text.split()) for text in (Path(record["clip"]).stem, turn["label"]))
                times = f"{turn['start']:.3f} {turn['end'] - turn['start']:.3f}"
                print(f"SPEAKER {name} 1 {times} <NA> <NA> {label} {turn['score']:.4f} <NA>", flush=True)


def _turns(record: Record) -> list[dict[str, Any]]:
    """The turns of a recording, with their heads' names where there are several."""
    found = record.get("turns", [])
    if isinstance(found, list):
        return found
    return [{**turn, "head": head} for head, turns in found.items() for turn in turns]


FORMATS: dict[str, Callable[[Iterable[Record]], None]] = {
    "table": print_table,
    "json": print_json,
    "jsonl": print_jsonl,
    "csv": print_csv,
}


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Which server and model, and how it is asked."""
    option = parser.add_argument
    option("--url", default="http://127.0.0.1:8080", help="the server's base address (%(default)s)")
    option("--model", default="demo", help="the name that it is served as (%(default)s)")
    option("--version", help="of the model (the server's default)")
    option("--top-k", type=int, help="how many labels, best first (the server's default: 5)")
    option(
        "--timeout", type=float, nargs=2, default=[5.0, 300.0], metavar=("CONNECT", "READ"), help="seconds"
    )
    option("--retries", type=int, default=4, help="while the server is busy or unreachable (%(default)s)")
    option("--token", default=os.environ.get(ENVIRONMENT_TOKEN), help=f"(the variable {ENVIRONMENT_TOKEN})")
    option("--cacert", help="trust these certificates (the variable REQUESTS_CA_BUNDLE)")


def server_options(parser: argparse.ArgumentParser, args: argparse.Namespace) -> dict[str, Any]:
    """What of them `Client` takes beside URL and model; ends with the parser's error if one is out of range."""
    if args.retries < 0 or not all(seconds > 0 for seconds in args.timeout):
        parser.error("--retries must be 0 or more, --timeout above 0")
    if args.cacert and not Path(args.cacert).is_file():
        parser.error(f"--cacert: there is no file {args.cacert}")
    return {
        "version": args.version,
        "token": args.token,
        "cacert": args.cacert,
        "timeout": tuple(args.timeout),
        "retries": args.retries,
    }


def seconds_and_hop(text: str) -> tuple[float, float]:
    seconds, _, hop = text.partition(",")
    return float(seconds), float(hop or seconds)


def main(
    arguments: list[str] | None = None, parser_class: type[argparse.ArgumentParser] = argparse.ArgumentParser
) -> int:
    parser = parser_class(description="Say who speaks in audio files.")
    option = parser.add_argument
    option("audio", nargs="+", help="a file, a folder (searched for audio files), or - for stdin")
    add_server_options(parser)
    option("--function-to-apply", choices=["softmax", "sigmoid", "none"], help="from logits to scores")
    option("--heads", help="heads of a model of several, separated by commas, or all")
    option(
        "--fpir", type=float, help="share of strangers that may get another label than unknown, such as 0.01"
    )
    option("--min-score", type=float, help="or the probability that a label must reach, against unknown")
    option(
        "--windows",
        type=seconds_and_hop,
        metavar="SECONDS[,HOP]",
        help="who speaks when, in a long recording",
    )
    option("--rttm", action="store_true", help="print the turns of --windows as RTTM")
    option("--concurrency", type=int, default=4, help="clips in flight at once (%(default)s)")
    option("--format", choices=FORMATS, default="table")
    args = parser.parse_args(arguments)
    try:
        names = list(clips(args.audio))
    except FileNotFoundError as exc:
        parser.error(str(exc))
    if not names:
        parser.error("no audio files")
    if args.concurrency < 1:
        parser.error("--concurrency must be 1 or more")
    if args.rttm and not args.windows:
        parser.error("--rttm is of --windows")
    server = server_options(parser, args)
    failed: list[str] = []

    def watched(records: Iterable[Record]) -> Iterator[Record]:
        for record in records:
            failed.extend([record["clip"]] if "error" in record else [])
            yield record

    choices = ("top_k", "function_to_apply", "heads", "fpir", "min_score")
    options = {name: getattr(args, name) for name in choices}
    with contextlib.suppress(AttributeError):  # where stdout was replaced by a simpler object
        # a file's name may not be text, and a terminal may lack characters
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        with Client(args.url, args.model, **server) as client:
            records = run(client, names, args.concurrency, args.windows, **options)
            show = FORMATS[args.format]
            if args.windows:
                records = map(of_one_head, records) if args.rttm else records
                show = print_rttm if args.rttm else print_csv_of_turns if args.format == "csv" else show
            show(watched(with_progress(records, len(names))))
        sys.stdout.flush()
    except Unreachable as exc:
        print(f"identify: {exc}", file=sys.stderr)
        return 3
    except BrokenPipeError:
        # or Python's flush at exit would fail on the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
