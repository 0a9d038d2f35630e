"""`make identify`: ask a server who speaks, with the client that API consumers copy.

python -m serving.identify --port 8080 -- --top-k 3 clip.wav

Arguments after `--` are the client's, and so are the exit codes; 3 also if no server runs, and 0 if the reader of the
output has closed it (`make identify … | head`), because make would report any other code.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bundle import BundleError
from bundle.command_line import Parser
from clients import identify as client
from serving import asked, state
from serving.host import ports

UNREACHABLE, NOBODY_READS = 3, 141


def server(url: str, model: str, port: int | None, run: Path) -> list[str]:
    """The client's options for the server at a URL, else for the one that runs here.

    Raises:
        BundleError: none does.
    """
    name = Path(model).name  # superb/hubert-base-superb-ks is served as hubert-base-superb-ks
    if url:
        return [f"--url={url}", *([f"--model={name}"] if name else [])]
    found = asked.running([name] if name else [], port, run)
    where, trust = asked.address(found)
    name = name or found.models[0]
    print(f"identify: asking {name} at {where}, which runs here", file=sys.stderr)
    return [f"--url={where}", f"--model={name}", *([f"--cacert={trust}"] if trust else [])]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m serving.identify",
        usage="%(prog)s [--url URL] [--model MODEL] [--port PORT] [--run RUN] -- [client's options] CLIP ...",
        description="Say who speaks in audio files.",
        epilog="CLIP is an audio file or a folder. The client's options: python clients/identify.py --help",
    )
    parser.add_argument("--url", default="", help="of a server (default: the one that runs on this machine)")
    parser.add_argument(
        "--model", default="", help="the name that it is served under (default: the server's first)"
    )
    parser.add_argument("--port", type=ports.number, help="of the server, if several run on this machine")
    parser.add_argument(
        "--run", type=Path, default=state.RUN, help="folder of the servers' state (default: %(default)s)"
    )
    given = sys.argv[1:]
    end = given.index("--") if "--" in given else len(given)
    args = parser.parse_args(given[:end])
    try:
        options = server(args.url, args.model, args.port, args.run)
    except BundleError as exc:
        print(f"identify: {exc}", file=sys.stderr)
        return UNREACHABLE
    code = client.main([*options, *given[end + 1 :]], Parser)
    return 0 if code == NOBODY_READS else code


if __name__ == "__main__":
    sys.exit(main())
