"""Loopback ports."""

from __future__ import annotations

import argparse
import itertools
import random
import socket

from bundle import BundleError

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104  # every address of the machine; asked for by name, with --address
LAST = 65_535
OWN_CHOICE = range(15_000, 32_000)  # above most services, below Linux's and macOS's ephemeral ports


def number(text: str) -> int:
    """A port number, as a type for argparse."""
    if not is_number(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: allowed are 1 to {LAST}")
    return int(text)


def is_number(text: str) -> bool:
    """Whether a text is the number of a port."""
    return text.isascii() and text.isdigit() and len(text) < 10 and 0 < int(text) <= LAST


def number_or_free(text: str) -> int:
    """As `number`, and 0 for a free port."""
    return 0 if text == "0" else number(text)


def free(count: int) -> list[int]:
    """Distinct ports that no process listens on now.

    Not from the system's ephemeral range: outgoing connections get their ports from it, and one of them may take the
    port in the seconds until a server listens on it.
    """
    shuffled = random.sample(OWN_CHOICE, len(OWN_CHOICE))
    return list(itertools.islice((port for port in shuffled if not is_taken(port)), count))


def reached_at(address: str) -> str:
    """Where callers on this machine reach what listens at an address."""
    return LOOPBACK if address == EVERYWHERE else address


def refuse_taken(port: int, variable: str) -> None:
    """Raise BundleError if another process listens on a port.

    Args:
        port: which.
        variable: of make, by which another is chosen.
    """
    if is_taken(port):
        raise BundleError(f"port {port} is taken by another process: choose another with {variable}=")


def is_taken(port: int) -> bool:
    """Whether a server could not listen on the port now."""
    with socket.socket() as probe:
        # as servers do: connections in TIME_WAIT do not block a port
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False


def accepts(port: int) -> bool:
    """Whether a server accepts connections on the port."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0
