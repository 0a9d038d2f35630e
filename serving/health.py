"""Is the server of a folder ready? For a container's health check: it needs neither curl nor the port and scheme.

python -m serving.health --run /tmp/run
"""

from __future__ import annotations

import argparse
import ssl
import sys
from pathlib import Path

from serving.host import local_http
from serving.state import FILE, read

PATH = "/v2/health/ready"
SECONDS = 4.0  # less than the health check's own timeout, which would end this without a message


def fault(run: Path) -> str | None:
    """Why the server of a folder is not ready, in one line; None if it is."""
    state = read(run / FILE)
    if state is None:
        return f"no server is running in {run}"
    # our own gateway on loopback, whose certificate names the public host
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    try:
        answer = local_http.ask(local_http.tcp(state.url, SECONDS, trust), "GET", PATH)
    except local_http.FAULTS as exc:
        return f"{state.url} does not answer: {exc}"
    return None if answer.status == 200 else f"{answer.status} {answer.text[:500].strip()}"


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
