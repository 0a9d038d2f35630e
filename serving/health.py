"""Is the server of a folder ready? For a container's health check: no curl, no port or scheme to repeat.

python -m serving.health --run /tmp/run
"""

from __future__ import annotations

import argparse
import http.client
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path

from serving.state import FILE, read

PATH = "/v2/health/ready"
SECONDS = 4.0  # less than the health check's own limit, which would end this without a word


def fault(run: Path) -> str | None:
    """Why the server that runs in a folder is not ready, in one line; None if it is."""
    state = read(run / FILE)
    if state is None:
        return f"no server runs in {run}"
    trusting = (
        ssl.create_default_context()
    )  # our own gateway on loopback, whose certificate names the public host
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    direct = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusting)
    )
    try:
        with direct.open(state.url + PATH, timeout=SECONDS):
            return None
    except urllib.error.HTTPError as exc:
        with exc:
            return f"{exc.code} {exc.read(500).decode('utf-8', 'replace').strip()}"
    except (OSError, http.client.HTTPException) as exc:
        return f"{state.url} does not answer: {exc}"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m serving.health", description="Exit 0 if the server is ready, else 1."
    )
    parser.add_argument("--run", type=Path, required=True, help="the folder that the server was started with")
    why = fault(parser.parse_args().run)
    print(f"not ready: {why}" if why else "ready")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main())
