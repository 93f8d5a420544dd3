"""Lists of issuers, as the owner trusts them: one of each publisher, and never an older one in place of a newer."""

from collections.abc import Sequence
from typing import Any

from ledger import cbor
from ledger.errors import BadSignature, LedgerError, Malformed
from ledger.filing import demand_fields, octets_of, read_file, write_file
from ledger.message import MAX_LIST_BYTES, MessageKind, SignedMessage, sign_message
from ledger.proofs.note import to_base64
from ledger.signing import Signer
from ledger.store.transaction import MAX_DOCUMENT_BYTES, Transaction
from ledger.store.view import View
from market.errors import TermsInvalid
from market.terms import from_map, to_map
from market.voucher import Issuer, IssuerList
from v2xnode.errors import UsageError
from v2xnode.settling.signing import AccountingRefused

FORM = "v2x-issuers/1"
DOCUMENT = "issuers"
MAX_PUBLISHERS = 8
"""Whose lists one owner trusts: a coordinator's and a few roaming networks'."""
_FIELDS = ("signer", "payload", "signature")


def sign_list(signer: Signer, said: IssuerList) -> SignedMessage:
    """A list by its publisher. Raises Malformed for one that does not fit."""
    return sign_message(signer, MessageKind.ISSUERS, cbor.encode(to_map(said), max_bytes=MAX_LIST_BYTES))


def list_of(message: SignedMessage) -> IssuerList:
    """What a signed list says. Raises LedgerError for bytes, signature or values that do not hold."""
    message.check()
    try:
        said: IssuerList = from_map(IssuerList, cbor.decode(message.payload, max_bytes=MAX_LIST_BYTES))
    except TermsInvalid as problem:
        raise Malformed(str(problem)) from problem
    if said.publisher != message.signer:
        raise BadSignature("a list of issuers is signed by its publisher")
    return said


def add(transaction: Transaction, message: SignedMessage, *, publisher: bytes = b"") -> IssuerList:
    """Trust a list. publisher: whose it has to be, if the owner says so.

    Raises AccountingRefused for another publisher's (`wrong_publisher`), one that is not newer (`older_list`), or one
    publisher too many (`full`), and LedgerError for a list that does not hold.
    """
    said = list_of(message)
    if publisher and publisher != said.publisher:
        raise AccountingRefused("This list is another publisher's.", code="wrong_publisher")
    held = _held(transaction)
    others = [each for each in held if each.signer != message.signer]
    for each in held:
        if each.signer == message.signer and list_of(each).number >= said.number:
            raise AccountingRefused("The list that is held is not older.", code="older_list")
    if len(others) >= MAX_PUBLISHERS:
        raise AccountingRefused(f"{MAX_PUBLISHERS} publishers are trusted already.", code="full")
    _keep(transaction, [*others, message])
    return said


def lists(view: View) -> list[IssuerList]:
    """The newest list of each publisher."""
    return [list_of(each) for each in _held(view)]


def issuer_keys(view: View) -> frozenset[bytes]:
    """The nodes of all issuers that some list names."""
    return frozenset(issuer.key for each in lists(view) for issuer in each.issuers)


def as_json(said: IssuerList) -> dict[str, Any]:
    """A list for programs; amounts in millionths of the currency."""
    return {
        "publisher": said.publisher.hex(),
        "number": said.number,
        "at_s": said.at_s,
        "issuers": [
            {
                "issuer": each.key.hex(),
                "signer": each.signer.hex(),
                "name": each.name,
                "any_limit_micro": each.any_limit_micro,
                "currency": each.currency,
                "until_s": each.until_s,
            }
            for each in said.issuers
        ],
        "revoked": [serial.hex() for serial in said.revoked],
    }


def from_json(value: Any, publisher: bytes) -> IssuerList:
    """The list that `as_json` shows, for its publisher to sign; sorted as a list has to be. Raises UsageError."""
    try:
        named = [
            Issuer(
                bytes.fromhex(each["issuer"]),
                bytes.fromhex(each.get("signer", each["issuer"])),
                each["name"],
                each["any_limit_micro"],
                each["currency"],
                each["until_s"],
            )
            for each in value["issuers"]
        ]
        return IssuerList(
            publisher=publisher,
            number=value["number"],
            at_s=value["at_s"],
            issuers=tuple(sorted(named, key=lambda each: each.key)),
            revoked=tuple(sorted(bytes.fromhex(each) for each in value.get("revoked", []))),
        )
    except (TermsInvalid, KeyError, TypeError, ValueError, AttributeError) as problem:
        raise UsageError(f"This is no list of issuers: {problem}.", code="malformed") from None


def to_file(message: SignedMessage) -> bytes:
    """A list as a file."""
    return write_file(FORM, message_fields(message))


def from_file(data: bytes) -> SignedMessage:
    """The list in a file. Raises LedgerError."""
    return message_in(data, FORM, MessageKind.ISSUERS)


def message_fields(message: SignedMessage) -> dict[str, str]:
    """A signed message as the fields of a file."""
    values = (message.signer, message.payload, message.signature)
    return {name: to_base64(value) for name, value in zip(_FIELDS, values, strict=True)}


def message_in(data: bytes, form: str, kind: MessageKind) -> SignedMessage:
    """The signed message that a file of this form is. Raises LedgerError."""
    found, fields = read_file(data)
    if found != form:
        raise Malformed(f"a file of the form {form} is expected, not {found!r:.40}")
    return message_of_fields(fields, kind)


def message_of_fields(fields: object, kind: MessageKind) -> SignedMessage:
    """What `message_fields` gave, with its signature checked. Raises LedgerError."""
    signer, payload, signature = (octets_of(each) for each in demand_fields(fields, _FIELDS).values())
    message = SignedMessage(kind, signer, payload, signature)
    message.check()
    return message


def _held(view: View) -> Sequence[SignedMessage]:
    stored = view.get(DOCUMENT)
    if stored is None:
        return []
    found = []
    try:
        value = cbor.decode(stored, max_bytes=MAX_DOCUMENT_BYTES)
    except LedgerError:  # a document may be damaged or stale: it is then added again
        return []
    for each in value if isinstance(value, list) else []:
        match each:
            case [bytes(signer), bytes(payload), bytes(signature)]:
                found.append(SignedMessage(MessageKind.ISSUERS, signer, payload, signature))
    return found


def _keep(transaction: Transaction, messages: Sequence[SignedMessage]) -> None:
    value = [[each.signer, each.payload, each.signature] for each in messages]
    transaction.put(DOCUMENT, cbor.encode(value, max_bytes=MAX_DOCUMENT_BYTES))
