"""`make serve`: serve models in the foreground until Ctrl-C or SIGTERM, then stop without dropping a request.

python -m serving.serve --models "demo other:2.0" --port 8080
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from bundle import BundleError, archived, galleries, sources, store
from bundle.spec import ModelSpec
from bundle.terminal import say
from serving import mounted, state
from serving.announcement import announce
from serving.arguments import gateway_options, parse
from serving.host import allocator, orphans, processes
from serving.model_servers import Chosen
from serving.service import Service
from serving.signals import Interrupted, Stopper

WATCH_SECONDS = 0.2


def prepare(args: argparse.Namespace) -> Service:
    """Build what is missing; the server as it was asked for, not started yet.

    Raises:
        BundleError: says in one line why it cannot be.
    """
    options = gateway_options(args)
    if args.gallery and (args.archived or args.weights):
        raise BundleError(
            f"GALLERY={args.gallery} joins an archive that is built, and these are served as they are"
        )
    chosen = Chosen(args.server, allocator.environment(args.allocator))
    run = args.run or state.RUN / str(args.port)
    weights = mounted.read(args.weights, run, args.name) if args.weights else None
    specs = weights.specs if weights else asked_for(args)
    already_running(args.port)
    processes.refuse_left(orphans.clear_all(state.RUN))
    if weights:
        service = Service(specs, weights.store, run, options, chosen)
        service.convert = weights.convert if weights.checkpoint else None
        return service
    if not args.archived:
        from bundle import versions  # the build side, which a server of archives does not need

        pinned = versions.named(args.models)
        gallery = specs[0].gallery
        specs = [versions.current(spec, pinned=spec.name in pinned) for spec in specs]
        if args.gallery and gallery:
            mar = store.STORE / f"{specs[0].name}.mar"
            galleries.refuse_other(mar, gallery, "which a roll-out promoted: roll this one out instead")
    return Service(specs, args.archived or store.STORE, run, options, chosen)


def serve(service: Service, stopper: Stopper, grace: float, delay: float) -> int:
    """Start, watch, stop.

    Args:
        service: not started yet.
        stopper: the signals that ask for a stop.
        grace: seconds for requests in flight at a stop.
        delay: seconds between answering "not ready" and refusing connections.

    Returns:
        The exit code, 0 after a stop that was asked for.

    Raises:
        BundleError: it did not start, or a process has ended by itself; everything has been stopped.
    """
    fault: str | None = None
    began = time.monotonic()
    try:
        service.start(lambda text: say(f"starting, {time.monotonic() - began:.0f} s: {text}"), grace + delay)
        say(announce(service))
        stopper.raising = False
        while not stopper.asked and (fault := service.fault()) is None:
            if why := service.rotate_logs():
                say(f"a log has become too large and cannot be replaced yet: {why}")
            for why in (service.tokens.news(), service.gateway.news()):
                if why:
                    say(why)
            service.mend(say)
            time.sleep(WATCH_SECONDS)  # between two looks at the processes
    except Interrupted:
        pass
    except BundleError as exc:
        fault = str(exc)
    finally:
        stopper.raising = False
        if fault is None and sys.exc_info()[0] is None:
            say("stopping: no new requests are accepted, waiting for those in flight (Ctrl-C again to hurry)")
        began = time.monotonic()
        cut = service.stop(grace, stopper.hurry, delay)
    if fault is not None:
        raise BundleError(fault)
    left = f"; {cut} unanswered requests were cut off" if cut else ""
    say(f"stopped in {time.monotonic() - began:.1f} s, nothing left running{left}")
    return 0


def already_running(port: int) -> None:
    """Raises BundleError if our own server holds the port."""
    for _, running in state.states():
        if running.serve.alive and running.port == port:
            raise BundleError(
                f"port {port} already serves {', '.join(running.models)}: end it with `make stop`, "
                "or choose another with PORT="
            )


def asked_for(args: argparse.Namespace) -> list[ModelSpec]:
    """The models, before a roll-out's promotions are considered."""
    if args.archived:
        return archived.read_store(args.archived)
    if not args.models:
        return [sources.with_gallery(sources.resolve(args.model, args.revision or None), args.gallery)]
    if args.revision:
        raise BundleError(
            f"REVISION={args.revision} applies to MODEL= only; set each model's revision of MODELS= in its model.yaml"
        )
    if args.gallery:
        raise BundleError(
            f"GALLERY={args.gallery} applies to MODEL= only; of MODELS=, name each one's in its model.yaml"
        )
    return sources.resolve_all(args.models)


def main() -> int:
    args = parse(sys.argv[1:], os.environ)
    stopper = Stopper()
    try:
        return serve(prepare(args), stopper, args.grace, args.stop_delay)
    except BundleError as exc:
        print(f"serve: {exc}", file=sys.stderr)
        return 1
    except Interrupted:  # while the archive was being built: nothing has been started
        return 0


if __name__ == "__main__":
    sys.exit(main())
