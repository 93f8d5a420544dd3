"""Trades of parties whose keys change: a provider whose chain names an offline key."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ledger.keys.bodies import commitment_to
from ledger.own.key_changes import open_epoch, succeed
from ledger.signing import Signer
from ledger.store.ledger import Ledger
from tests.support.deals import CLIENT, FIXED, PROVIDER, Deal, Side, counted, request_id
from v2xnode.meter_binding import bind_meter_key
from v2xnode.meter_key import MeterKey
from v2xnode.settling.money import posting_rule

SECOND, OFFLINE, THIRD = (Signer(bytes([number]) * 32) for number in (21, 22, 23))
METER = MeterKey.from_secret(b"\x07" * 32)
NAME = "keys"


@contextmanager
def key_deal() -> Iterator[Deal]:
    """Nothing is said yet."""
    with tempfile.TemporaryDirectory(prefix="keys-") as directory:
        sides = []
        for name, identity, first in (("provider", PROVIDER, 11), ("client", CLIENT, 12)):
            commitment = commitment_to(OFFLINE.public) if identity is PROVIDER else b""
            path = Path(directory) / name
            ledger = Ledger.open(
                path, identity.signer, posting_rule=posting_rule, entropy=counted(first), commitment=commitment
            )
            sides.append(Side(identity, ledger, path))
        with sides[0].ledger, sides[1].ledger:
            yield Deal(sides[0], sides[1], replace(FIXED, request_id=request_id(NAME)))


def rotated(deal: Deal) -> None:
    """In the middle of a trade."""
    deal.agree()
    deal.rotate(deal.provider, SECOND)
    deal.meter((101, 99))
    deal.close()


def revoked(deal: Deal) -> None:
    """After the trade, by the offline key."""
    deal.play()
    deal.provider.ledger.transact(lambda tx: succeed(tx, OFFLINE, THIRD, commitment_to(OFFLINE.public)))
    deal.show_keys(deal.provider)


def given_up(deal: Deal) -> None:
    """After a rotation and an epoch that began anew, the offline key lets nobody sign any more."""
    deal.provider.ledger.transact(open_epoch)
    rotated(deal)
    deal.provider.ledger.transact(lambda tx: succeed(tx, OFFLINE, None, b""))
    deal.show_keys(deal.provider)


def metered(deal: Deal) -> None:
    """With a meter's key bound to the chain."""
    deal.provider.ledger.transact(lambda tx: bind_meter_key(tx, METER))
    deal.play()


KEY_STORIES: dict[str, Callable[[Deal], None]] = {
    "rotated": rotated,
    "revoked": revoked,
    "given up": given_up,
    "metered": metered,
}
