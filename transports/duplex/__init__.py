"""Requests, answers and pushes over a two-way pipe of messages: what BLE and libp2p have in common.

A bearer makes a `Pipe` (see `pipe`); `Trunks` is then its dialer's side, `serve` its acceptor's.
"""

from transports.duplex.pipe import Pipe
from transports.duplex.serving import serve
from transports.duplex.trunks import Trunks

__all__ = ["Pipe", "Trunks", "serve"]
