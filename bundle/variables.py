"""make's variables, checked, as the options of a command: their values are read from the environment, never by a shell.

    python bundle/variables.py -m serving.serve MODEL PORT ARGS

replaces itself by `python -m serving.serve --model=demo --port=8080 --grace 5` where the environment says MODEL=demo,
PORT=8080 and ARGS="--grace 5". An empty variable gives no option, so that each default is in the command only.
Without arguments it checks what was typed on make's command line, and nothing else: a VERSION that the environment has
for other programs is no error until a command uses it.

Standard library only, and no newer syntax than in bootstrap.py: it runs before `.venv` is there.
"""
# ruff: noqa: UP006, UP035

import glob
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Callable, Dict, List, Tuple

Check = Tuple[Callable[[str], bool], str]  # whether a value is allowed, and what is allowed, in words

PYTEST = "pytest"
WORDS, CLIPS = "ARGS", "AUDIO"  # several words each, not one option
ARGS_GIVEN = "MAKE_ARGS"  # what ARGS= said, for the command's messages: bundle/command_line.py
MADE_BY_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEFILE_LIST", "MAKE_TERMOUT", "MAKE_TERMERR")


class VariableError(Exception):
    """A variable's value is not allowed; the message is one line that says which and what is."""


def whole(least: int, most: int, more: str = "") -> Check:
    def allowed(text: str) -> bool:
        return re.fullmatch(r"[0-9]{1,9}", text) is not None and least <= int(text) <= most

    return allowed, f"a whole number from {least} to {most}{more}"


def written(pattern: str, words: str) -> Check:
    return lambda text: re.fullmatch(pattern, text) is not None, words


def one_of(*names: str) -> Check:
    return lambda text: text in names, f"{', '.join(names[:-1])} or {names[-1]}"


CHECKED: Dict[str, Check] = {
    "PORT": whole(1, 65535),
    "METRICS_PORT": whole(0, 65535, "; 0 is a free one"),
    "CANARY": whole(0, 99, ", percent of the requests; 0 switches"),
    "VERSION": written(r"[0-9]+([.][0-9]+)*", "numbers with dots between, such as 2.0"),
    "RATE": written(
        r"(?=.*[1-9])[0-9]{1,6}([.][0-9]{1,6})?", "requests a second, more than 0, such as 5 or 0.5"
    ),
    "DURATION": written(r"(?=.*[1-9])[0-9]{1,6}([.][0-9]{1,6})?[sm]?", "30, 30s or 2m"),
    "FPIR": written(
        r"(?=.*[1-9])(([0-4]?[0-9]([.][0-9])?|50)%|0?[.](00[1-9]|[0-4][0-9]{0,2}))",
        "a share of strangers from 0.1% to 50%, such as 1% or 0.01: percent need the sign",
    ),
    "SPLIT": whole(1, 3, ": VoxCeleb1's train, dev and test"),
    "SERVER": one_of("torchserve", "triton"),
    "VARIANT": one_of("cpu", "cuda"),
    "ENGINE": one_of("docker", "podman", "buildah"),
    "ALLOCATOR": one_of("glibc", "jemalloc"),
    "PAGE": one_of("on", "off"),
    "SHAPE": one_of("poisson", "constant", "step", "spike"),
}

# what each is, for docs/configuration.md; the recipes say which commands take it
MEANING: Dict[str, str] = {
    "PYTHON": "the Python that `.venv` is made with: 3.10 to 3.14",
    "TORCH_INDEX": "package index to take torch from, and torch alone: another build of it",
    "LOCKED": "`1` makes `.venv` from scratch and checks every file against its hash in `requirements-lock.txt`",
    "MODEL": "a name under `models/`, a hub id, or the path of a checkpoint folder",
    "MODELS": "several of these, with spaces between; `NAME:2.0` is served as version 2.0",
    "REVISION": "commit, branch or tag of a hub model",
    "SERVER": "the model server behind the gateway",
    "VARIANT": "`cuda`: an image with the CUDA build of torch",
    "ENGINE": "the container engine; by default the first that is there",
    "PORT": "the gateway's port; of other commands, the server that they address",
    "ALLOCATOR": "memory allocator of Java and the workers",
    "TOKENS": "file of bearer tokens, of which callers must send one",
    "TLS": "folder with `tls.crt` and `tls.key`, and `ca.crt` where the authority is your own",
    "SHARE": "what each address may send, without tokens, as in `requests=5 audio=30`: a second",
    "CORS": "origins of the web pages whose scripts may call, with spaces between",
    "PAGE": "`off`: browsers get no page to try a voice on at `/`",
    "METRICS_PORT": "port of the metrics",
    "OTLP": "`host:port` of an OpenTelemetry collector for the gateway's spans",
    "VERSION": "the version that the model gets",
    "CANARY": "share of the requests that the new version gets first",
    "AUDIO": "files, folders and patterns of clips; quotes around a name that holds blanks",
    "CALIBRATION": "folder of clips on which bf16 must agree with fp32",
    "URL": "base address of a running server",
    "CLIPS": "folder of clips to send; by default the demo's samples and clips of VoxCeleb1's lengths",
    "RATE": "how much load to send",
    "DURATION": "how long to send requests",
    "SHAPE": "how the arrivals are spread over the time",
    "SLO": "what must hold, such as `p99=2s,errors=0.1%`",
    "IN": "clips to identify: a folder, or a list of files",
    "OUT": "folder of the report; of `make batch` the file of answers, of `make enrol` the gallery's folder",
    "DATA": "labelled clips: VoxCeleb1, a folder `speaker/clip.wav`, or a CSV",
    "SPLIT": "part of VoxCeleb1 to evaluate",
    "SPLIT_FILE": "VoxCeleb1's `veri_test_class.txt` or `iden_split.txt`, where it is not in `DATA=` itself",
    "HEAD": "which head, of a model of several",
    "VOICES": "voices to enrol, or a head's labels: a folder of recordings for each, its name the label",
    "STRANGERS": "recordings of people who are not enrolled, or of none of the labels: a folder for each, or files",
    "FPIR": "share of strangers' clips that may get a name",
    "GALLERY": "enrolled voices, what `make enrol` wrote; over the `gallery` of model.yaml",
    "ALL": "`1` removes the archives too, and forgets what was promoted",
    "ARGS": "more options of the command, as its `--help` lists them",
}


def check(names: List[str], values: Dict[str, str]) -> None:
    """Raise VariableError for a value that is out of range, or not one of the allowed words."""
    for name, (allowed, words) in CHECKED.items():
        value = values.get(name, "")
        if name in names and value and not allowed(value):
            raise VariableError(f"{name}={value} is not allowed: {words}")


def words(name: str, value: str) -> List[str]:
    """The words of a value; quotes keep a word with blanks together, and nothing else is special."""
    try:
        return shlex.split(value)
    except ValueError as exc:
        raise VariableError(
            f"{name}={value} is not allowed: {exc} (put quotes around a word with blanks)"
        ) from None


def clips(value: str) -> List[str]:
    """Files and folders of AUDIO=: one existing name, blanks included, else several, with patterns like *.wav."""
    if Path(value).exists():
        return [value]
    found = []  # type: List[str]
    for word in words(CLIPS, value):
        found += sorted(glob.glob(word)) or [word]  # noqa: PTH207  # Path.glob takes no absolute pattern
    return found


def options(arguments: List[str], values: Dict[str, str], known: List[str]) -> List[str]:
    """The arguments, with each variable's name replaced by the option of its value."""
    made = []  # type: List[str]
    for argument in arguments:
        value = values.get(argument, "") if argument in known else ""
        if argument not in known:
            made.append(argument)
        elif argument == WORDS:
            made += words(WORDS, value)
        elif argument == CLIPS:
            made += ["--", *clips(value)]
        elif value:
            made.append(f"--{argument.lower().replace('_', '-')}={value}")
    return made


def main() -> int:
    known = os.environ.pop("VARIABLES", "").split()
    typed = os.environ.pop("TYPED", "").split()
    os.environ.pop(ARGS_GIVEN, None)  # of a `make` that called this one
    # for this command, not for its children
    values = {name: os.environ.pop(name, "") for name in known}
    try:
        check(typed + sys.argv[1:], values)
        if len(sys.argv) > 1:
            made = options(sys.argv[1:], values, known)
            # pytest words its errors itself, and the tests' own commands would take this for theirs
            if WORDS in sys.argv and values.get(WORDS) and PYTEST not in sys.argv:
                os.environ[ARGS_GIVEN] = values[WORDS]
            for name in MADE_BY_MAKE:
                os.environ.pop(name, None)
            os.execv(sys.executable, [sys.executable, *made])  # noqa: S606  # no shell is the point
    except VariableError as exc:
        print(exc, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
