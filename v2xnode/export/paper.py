"""What a printed receipt carries in its code: the three signatures that a stranger needs to believe its totals.

`V2X1:` and, in base45 (RFC 9285), a zlib stream of the deterministic CBOR array `[request id, entry, entry, entry]`,
each entry `[payload, body, signature]`. The entries are the Accept, which names the parties and the currency, and the
two that settle: Close and Closed, or after a dispute the two Resolves. Salts follow from the request id.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger import cbor
from ledger.entry import REQUEST_ID_BYTES, Entry, EntryType, SignedEntry, trade_salt
from ledger.errors import LedgerError, Malformed, RemoteLedgerError, TooLarge
from ledger.files.receipt import Receipt
from market.errors import TermsInvalid
from market.terms import Accept, Close, Closed, Resolve
from v2xnode.envelope import message_of
from v2xnode.export.dossier import DossierRefused

PREFIX: Final = "V2X1:"

MAX_CODE_CHARS: Final = 4_296
"""What the largest QR code holds of this alphabet (ISO/IEC 18004, version 40-L)."""

MAX_BYTES: Final = 4_096
"""Uncompressed: three entries with bodies of the longest bill."""

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_SETTLING: Final = frozenset({EntryType.CLOSE, EntryType.CLOSED, EntryType.RESOLVE})


@dataclass(frozen=True, slots=True)
class Paper:
    """What the code of a printed receipt proves: that both parties signed these totals."""

    request_id: bytes
    provider: bytes
    client: bytes
    currency: str
    agreed_wh: int
    amounts_micro: tuple[int, ...]

    @property
    def total_micro(self) -> int:
        """What the client owes for it in all."""
        return sum(self.amounts_micro)


def paper_code(receipt: Receipt) -> str:
    """The code of a receipt that was checked."""
    entries = [receipt.entries[0], *[each for each in receipt.entries if each.entry.type in _SETTLING][-2:]]
    fields = [[each.entry.payload, each.body, each.signature] for each in entries]
    plain = cbor.encode([receipt.request_id, *fields], max_bytes=MAX_BYTES)
    return PREFIX + to_base45(zlib.compress(plain, 9))


def read_paper(code: str) -> Paper:
    """What a code proves. Raises RemoteLedgerError or DossierRefused, whose code says what does not hold."""
    entries = _entries(code)
    for signed in entries:
        signed.check(signed.entry.node)
    try:
        accept, *settling = (message_of(each) for each in entries)
    except (TermsInvalid, RemoteLedgerError) as problem:
        raise DossierRefused(f"A message is not of its form: {problem}.", code="malformed") from None
    return _paper(entries, accept, settling)


def _paper(entries: Sequence[SignedEntry], accept: object, settling: Sequence[object]) -> Paper:
    if not isinstance(accept, Accept):
        raise DossierRefused("The first entry is no Accept.", code="out_of_order")
    first, second = settling
    if not (isinstance(first, Close) and isinstance(second, Closed)) and not (
        isinstance(first, Resolve) and isinstance(second, Resolve)
    ):
        raise DossierRefused("Nothing settles the trade.", code="out_of_order")
    client, nodes = entries[0].entry.node, [each.entry.node for each in entries[1:]]
    peers = {client: accept.peer, accept.peer: client}
    about = [(node, message.peer) for node, message in zip(nodes, (first, second), strict=True)]
    if set(nodes) != set(peers) or any(peers[node] != peer for node, peer in about):
        raise DossierRefused("The entries are of or about somebody else.", code="wrong_party")
    if entries[2].entry.answers != entries[1].hash:
        raise DossierRefused("The second party has not answered the first.", code="out_of_order")
    if (first.agreed_wh, first.amounts_micro) != (second.agreed_wh, second.amounts_micro):
        raise DossierRefused("The two parties have signed different totals.")
    request_id = entries[0].request_id or b""
    return Paper(request_id, accept.peer, client, accept.currency, first.agreed_wh, first.amounts_micro)


def _entries(code: str) -> Sequence[SignedEntry]:
    if len(code) > MAX_CODE_CHARS:
        raise TooLarge(f"a code has {MAX_CODE_CHARS} characters at most")
    if not code.startswith(PREFIX):
        raise Malformed(f"the code of a receipt begins with {PREFIX}")
    match cbor.decode(_inflated(from_base45(code.removeprefix(PREFIX))), max_bytes=MAX_BYTES):
        case [bytes() as request_id, *fields] if len(fields) == 3 and len(request_id) == REQUEST_ID_BYTES:
            return [_entry(each, request_id) for each in fields]
    raise Malformed("the code of a receipt holds a request id and three entries")


def _entry(value: object, request_id: bytes) -> SignedEntry:
    match value:
        case [bytes() as payload, bytes() as body, bytes() as signature]:
            entry = Entry.parse(payload)
            return SignedEntry(entry, signature, trade_salt(request_id, entry.epoch, entry.seq), body, request_id)
    raise Malformed("an entry in a code is a payload, a body and a signature")


def _inflated(data: bytes) -> bytes:
    """Bounded, whatever the stream says."""
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(data, MAX_BYTES)
    except zlib.error as error:
        raise Malformed("the code of a receipt is not compressed as it should be") from error
    if not stream.eof or stream.unused_data:
        raise Malformed("the code of a receipt is cut off, too long, or goes on")
    return plain


def to_base45(data: bytes) -> str:
    """RFC 9285: three characters for two bytes, two for a last one."""
    text = ""
    for at in range(0, len(data), 2):
        pair = data[at : at + 2]
        number = int.from_bytes(pair, "big")
        for _ in range(len(pair) + 1):
            number, digit = divmod(number, 45)
            text += _ALPHABET[digit]
    return text


def from_base45(text: str) -> bytes:
    """Raises Malformed for what `to_base45` does not write."""
    data = b""
    for at in range(0, len(text), 3):
        digits = [_ALPHABET.find(letter) for letter in text[at : at + 3]]
        number = sum(digit * 45**place for place, digit in enumerate(digits))
        width = len(digits) - 1
        if -1 in digits or width == 0 or number >= 1 << (8 * width):
            raise Malformed("the code of a receipt is not base45")
        data += number.to_bytes(width, "big")
    return data


def check_code(receipt: Receipt) -> str | None:
    """The code, None where it would not hold by itself: a party has changed its key."""
    code = paper_code(receipt)
    try:
        read_paper(code)
    except (LedgerError, DossierRefused):
        return None
    return code
