from __future__ import annotations

import socket
from contextlib import ExitStack

from serving.host.ports import LOOPBACK
from serving.torchserve.ports import Ports


def test_they_are_open_when_each_of_them_is() -> None:
    ports = Ports.free()
    with ExitStack() as listening:
        for port in ports.all:
            assert not ports.opened()
            listening.enter_context(socket.create_server((LOOPBACK, port)))
        assert ports.opened()
        assert ports.taken() == ports.all
    assert not ports.opened()
