"""What a voucher and a list of issuers look like, signed: for tests/vectors."""

from typing import Any

from ledger import cbor
from ledger.message import MessageKind, SignedMessage, sign_message
from market.terms import to_map
from market.voucher import Issuer, IssuerList, Voucher
from tests.spec.trade import AT_S, CLIENT, PROVIDER
from v2xnode.identity import Identity
from v2xnode.settling.issuers import sign_list

ISSUER = Identity.from_seed(bytes([3]) * 32, lambda size: bytes(size))
DAY_S = 86_400
VOUCHER = Voucher(
    serial=bytes(range(16, 32)),
    issuer=ISSUER.public,
    holder=CLIENT.public,
    provider=(PROVIDER.public,),
    amount_micro=25_000_000,
    not_before_s=AT_S,
    until_s=AT_S + 30 * DAY_S,
)
ANYWHERE = Voucher(
    serial=bytes(range(32, 48)),
    issuer=ISSUER.public,
    holder=CLIENT.public,
    amount_micro=5_000_000,
    currency="SEK",
    until_s=AT_S + DAY_S,
)
NAMED = Issuer(ISSUER.public, ISSUER.public, "Example Roaming", 5_000_000, "SEK", AT_S + 365 * DAY_S)
LIST = IssuerList(publisher=ISSUER.public, number=7, at_s=AT_S, issuers=(NAMED,), revoked=(bytes(16),))


def vouchers() -> dict[str, Any]:
    """Two vouchers, for one provider and for any, and a list that names their issuer."""
    return {
        "issuer_seed": (bytes([3]) * 32).hex(),
        "vouchers": [_told(_signed(each)) for each in (VOUCHER, ANYWHERE)],
        "issuers": _told(sign_list(ISSUER.signer, LIST)),
    }


def _signed(voucher: Voucher) -> SignedMessage:
    return sign_message(ISSUER.signer, MessageKind.VOUCHER, cbor.encode(to_map(voucher)))


def _told(message: SignedMessage) -> dict[str, str]:
    return {
        "signer": message.signer.hex(),
        "external_data": message.kind.aad.decode(),
        "payload": message.payload.hex(),
        "hash": message.hash.hex(),
        "signature": message.signature.hex(),
        "cose_sign1": message.cose.hex(),
    }
