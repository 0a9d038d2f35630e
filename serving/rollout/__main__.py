"""`make rollout`: python -m serving.rollout --model demo --version 2.0."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from bundle import BundleError, galleries, sources, store
from bundle.command_line import Parser
from serving import asked, state
from serving.host import ports
from serving.rollout import agreement
from serving.rollout.rollout import Rollout
from serving.signals import Interrupted, Stopper


def main() -> int:
    parser = Parser(prog="python -m serving.rollout", description="Replace the version that is served.")
    parser.add_argument("--model", default="demo", help="as for `make serve` (default: %(default)s)")
    parser.add_argument("--version", required=True, help="the new version's number, such as 2.0")
    parser.add_argument("--gallery", default="", help="the new version's enrolled voices, over model.yaml's")
    parser.add_argument(
        "--canary",
        type=int,
        default=0,
        help="percent of the requests that it gets, 1 to 99; 0 switches to it",
    )
    parser.add_argument("--abort", action="store_true", help="end the canary of this version")
    parser.add_argument(
        "--data",
        type=Path,
        help="folder SPEAKER/clip: the new version must be right at least as often as the old one",
    )
    parser.add_argument("--port", type=ports.number, help="of the server, if several serve this model")
    args = parser.parse_args()
    stopper = Stopper()
    try:
        if not 0 <= args.canary <= 99:
            raise BundleError(
                f"CANARY={args.canary} is not a share: allowed are 1 to 99 percent, or 0 to switch"
            )
        declared = sources.with_gallery(sources.resolve(args.model), args.gallery)
        spec = sources.with_version(declared, args.version, f"VERSION={args.version}")
        run, server = asked.with_folder([spec.name], args.port)
        if args.gallery and spec.gallery and not store.marked(Path(server.store), spec.name, spec.version):
            kept = store.of_version(Path(server.store), spec.name, spec.version)
            # an archive in the store is used as it is
            galleries.refuse_other(
                kept, spec.gallery, "which is in the store already: choose another VERSION"
            )
        clips = agreement.clips(args.data)
        with FileLock(run / state.ROLLOUT_LOCK, timeout=0, mode=0o600):
            rollout = Rollout(spec, server, run, declared.version, stopper)
            if args.abort:
                rollout.abort()
            else:
                rollout.to_new(clips, args.canary)
    except Timeout:
        print(
            f"rollout: another roll-out on {server.url} is in progress: wait until it has ended",
            file=sys.stderr,
        )
        return 1
    except (BundleError, OSError) as exc:
        print(f"rollout: {exc}", file=sys.stderr)
        return 1
    except Interrupted:
        print("rollout: interrupted", file=sys.stderr)
        return os.EX_TEMPFAIL
    return 0


if __name__ == "__main__":
    sys.exit(main())
