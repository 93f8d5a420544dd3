"""The secure link: identity, privacy and replay protection, one layer for every bearer.

    dialer                              acceptor
    Dialer.first()      -- IK1 -->      Acceptor.receive() -> Accepted
    Opened              <-- IK2 --      Accepted.reply(payload)

    Dialer.first()      -- XX1 -->      Acceptor.receive() -> Send
    Named               <-- XX2 --
    Dialer.introduce()  -- XX3 -->      Acceptor.receive() -> Accepted
    Opened              <-- record --   Accepted.reply(payload)

    Session.seal()      -- record -->   Acceptor.receive() -> Received; Session.seal() answers

Both sides are machines without I/O: frames, the time and entropy go in. Frames begin with a varint: below
`LINK_ID_MIN` a kind of handshake message, else the receiver's link id of a record. Rooms behind this door: `keys`,
`handshake` (Noise), `records`, `dialer`, `acceptor` (with `link_table` and `rates`).
"""

from transports.acceptor import (
    Accepted,
    Acceptor,
    Limits,
    Outcome,
    Reason,
    Received,
    Send,
    Silence,
    Visibility,
)
from transports.dialer import Dialer, Named, Opened
from transports.handshake import LINK_ID_MIN, MAX_INTRODUCTION_BYTES, PROLOGUE, Entropy, FrameKind, draw_link_id
from transports.records import MAX_RECORDS, REPLAY_WINDOW, Session

__all__ = [
    "LINK_ID_MIN",
    "MAX_INTRODUCTION_BYTES",
    "MAX_RECORDS",
    "PROLOGUE",
    "REPLAY_WINDOW",
    "Accepted",
    "Acceptor",
    "Dialer",
    "Entropy",
    "FrameKind",
    "Limits",
    "Named",
    "Opened",
    "Outcome",
    "Reason",
    "Received",
    "Send",
    "Session",
    "Silence",
    "Visibility",
    "draw_link_id",
]
