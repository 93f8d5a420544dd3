"""The messages of the V2X Trade Protocol as values, and their integer-keyed maps.

`MESSAGES` numbers them; `SIGNED` are signed by their sender, `ENTRIES` are entries of its ledger, the rest travels
sealed in the link only.
"""

from enum import IntEnum
from typing import Final

from market.terms.accounting import Draw, Means, Net, NetLine, Pay
from market.terms.agreement import (
    MAX_COUNTERS,
    Accept,
    Confirm,
    Counter,
    Decline,
    Fee,
    FeeKind,
    Limit,
    LossRule,
    Offer,
    PriceKind,
    PriceStep,
    Reject,
    Request,
    SilenceRule,
    Tolerance,
    Void,
    acceptable,
)
from market.terms.control import (
    EPOCH_HINT_BYTES,
    PROTOCOL_VERSION,
    Alive,
    Head,
    Hello,
    Pause,
    Plug,
    PlugStep,
    PowerLimit,
    PowerState,
    Ready,
    ResolvingKey,
    Resume,
    Start,
    Status,
    Stop,
    Subscribe,
)
from market.terms.delivery import Close, Closed, Dispute, Interval, Receipt, Resolve
from market.terms.electrical import (
    Connector,
    CurrentKind,
    Earthing,
    Electrical,
    Profile,
    match_electrical,
)
from market.terms.ledgers import (
    MAX_PROOF_HASHES,
    CheckpointShown,
    Correspond,
    Cosignature,
    Recall,
    Recalled,
    Remembered,
    Shown,
)
from market.terms.mapping import from_map, to_map
from market.units import Role

Signed = Request | Offer | Counter
EntryBody = Accept | Confirm | Reject | Void | Interval | Receipt | Dispute | Resolve | Close | Closed | Net | Pay
Control = Ready | Start | Plug | Pause | PowerLimit | Stop | Subscribe | ResolvingKey | Status | Alive | Resume
LedgerTalk = Correspond | Recall | Recalled | Shown | CheckpointShown | Cosignature | Remembered
Message = Hello | Signed | Decline | EntryBody | Control | LedgerTalk


class MessageType(IntEnum):
    """Numbers on the wire: one byte each up to 23."""

    HELLO = 0
    REQUEST = 1
    OFFER = 2
    DECLINE = 3
    COUNTER = 4
    ACCEPT = 5
    CONFIRM = 6
    REJECT = 7
    VOID = 8
    INTERVAL = 9
    RECEIPT = 10
    DISPUTE = 11
    RESOLVE = 12
    CLOSE = 13
    CLOSED = 14
    READY = 15
    PLUG = 16
    START = 17
    PAUSE = 18
    POWER_LIMIT = 19
    STOP = 20
    SUBSCRIBE = 21
    ALIVE = 22
    STATUS = 23
    RESUME = 24
    RESOLVING_KEY = 25
    NET = 26
    PAY = 27
    CORRESPOND = 28
    RECALL = 29
    RECALLED = 30
    SHOWN = 31
    CHECKPOINT_SHOWN = 32
    COSIGNATURE = 33
    REMEMBERED = 34


MESSAGES: Final[dict[MessageType, type[Message]]] = {
    MessageType.HELLO: Hello,
    MessageType.REQUEST: Request,
    MessageType.OFFER: Offer,
    MessageType.DECLINE: Decline,
    MessageType.COUNTER: Counter,
    MessageType.ACCEPT: Accept,
    MessageType.CONFIRM: Confirm,
    MessageType.REJECT: Reject,
    MessageType.VOID: Void,
    MessageType.INTERVAL: Interval,
    MessageType.RECEIPT: Receipt,
    MessageType.DISPUTE: Dispute,
    MessageType.RESOLVE: Resolve,
    MessageType.CLOSE: Close,
    MessageType.CLOSED: Closed,
    MessageType.READY: Ready,
    MessageType.PLUG: Plug,
    MessageType.START: Start,
    MessageType.PAUSE: Pause,
    MessageType.POWER_LIMIT: PowerLimit,
    MessageType.STOP: Stop,
    MessageType.SUBSCRIBE: Subscribe,
    MessageType.ALIVE: Alive,
    MessageType.STATUS: Status,
    MessageType.RESUME: Resume,
    MessageType.RESOLVING_KEY: ResolvingKey,
    MessageType.NET: Net,
    MessageType.PAY: Pay,
    MessageType.CORRESPOND: Correspond,
    MessageType.RECALL: Recall,
    MessageType.RECALLED: Recalled,
    MessageType.SHOWN: Shown,
    MessageType.CHECKPOINT_SHOWN: CheckpointShown,
    MessageType.COSIGNATURE: Cosignature,
    MessageType.REMEMBERED: Remembered,
}
SIGNED: Final = frozenset({MessageType.REQUEST, MessageType.OFFER, MessageType.COUNTER})
TRADE_ENTRIES: Final = frozenset(kind for kind in MessageType if MessageType.ACCEPT <= kind <= MessageType.CLOSED)
ENTRIES: Final = TRADE_ENTRIES | {MessageType.NET, MessageType.PAY}
WRITERS: Final[dict[type[Message], Role]] = {
    Accept: Role.CLIENT,
    Confirm: Role.PROVIDER,
    Reject: Role.PROVIDER,
    Interval: Role.PROVIDER,
    Receipt: Role.CLIENT,
}
"""Entries that one side alone writes. From the other they mean nothing, and must not be kept as if they did."""
_TYPES: Final[dict[type[Message], MessageType]] = {cls: kind for kind, cls in MESSAGES.items()}


def type_of(message: Message) -> MessageType:
    """The wire number of a message."""
    return _TYPES[type(message)]


def rebuilt_fields(kind: MessageType) -> tuple[str, ...]:
    """The fields that the wire leaves out and the receiver puts back."""
    return getattr(MESSAGES[kind], "REBUILT", ())


__all__ = [
    "ENTRIES",
    "EPOCH_HINT_BYTES",
    "MAX_COUNTERS",
    "MAX_PROOF_HASHES",
    "MESSAGES",
    "PROTOCOL_VERSION",
    "SIGNED",
    "TRADE_ENTRIES",
    "WRITERS",
    "Accept",
    "Alive",
    "CheckpointShown",
    "Close",
    "Closed",
    "Confirm",
    "Connector",
    "Control",
    "Correspond",
    "Cosignature",
    "Counter",
    "CurrentKind",
    "Decline",
    "Dispute",
    "Draw",
    "Earthing",
    "Electrical",
    "EntryBody",
    "Fee",
    "FeeKind",
    "Head",
    "Hello",
    "Interval",
    "LedgerTalk",
    "Limit",
    "LossRule",
    "Means",
    "Message",
    "MessageType",
    "Net",
    "NetLine",
    "Offer",
    "Pause",
    "Pay",
    "Plug",
    "PlugStep",
    "PowerLimit",
    "PowerState",
    "PriceKind",
    "PriceStep",
    "Profile",
    "Ready",
    "Recall",
    "Recalled",
    "Receipt",
    "Reject",
    "Remembered",
    "Request",
    "Resolve",
    "ResolvingKey",
    "Resume",
    "Shown",
    "Signed",
    "SilenceRule",
    "Start",
    "Status",
    "Stop",
    "Subscribe",
    "Tolerance",
    "Void",
    "acceptable",
    "from_map",
    "match_electrical",
    "rebuilt_fields",
    "to_map",
    "type_of",
]
