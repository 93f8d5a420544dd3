"""Vouchers: a third party's signed word that it pays for what somebody draws, checked without asking anybody
(deliverable 3.1, section 3.1.3: cross-provider payment).

An issuer (a coordinator, a mobility provider) signs "key K is good for X at provider P until T", or, for small sums,
"at any provider". Who issues, up to which sum at any provider, and what is revoked stands in lists that a publisher
signs, with rising numbers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from market.terms.accounting import AMOUNT
from market.terms.agreement import KEY, SIGNED_AT, require
from market.terms.mapping import Bytes, Integer, ListOf, Record, Text, at, check
from market.units import MAX_AMOUNT_MICRO

SERIAL = Bytes(16)
MAX_ISSUERS = 24
"""Of one list: it has to fit a signed form of 7 KiB together with `MAX_REVOKED`."""
MAX_REVOKED = 128
"""Serials of one list; an issuer whose vouchers are beyond that is taken from the list instead."""
REDEEM_WITHIN_S = 90 * 86_400
"""How long after a voucher's end its draws are still paid: a quarter year of bookkeeping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voucher:
    """`holder` is good for `amount_micro` at `provider` (empty: at any) for trades agreed from `not_before_s` to
    `until_s` (seconds since 1970). Signed by `issuer`."""

    serial: bytes = at(0, SERIAL)
    issuer: bytes = at(1, KEY)
    holder: bytes = at(2, KEY)
    amount_micro: int = at(3, AMOUNT)
    until_s: int = at(4, SIGNED_AT)
    provider: tuple[bytes, ...] = at(5, ListOf(KEY, 0, 1), ())
    currency: str = at(6, Text(3, 3), "EUR")
    not_before_s: int = at(7, SIGNED_AT, 0)

    def __post_init__(self) -> None:
        check(self)
        require(self, self.not_before_s < self.until_s, "until_s", "must be after not_before_s")
        require(self, self.holder not in (self.issuer, *self.provider), "holder", "is the issuer or the provider")
        require(self, self.issuer not in self.provider, "provider", "is the issuer")


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose vouchers are taken, until when. key: its node, which owes what is drawn; signer: the key that signs its
    vouchers, the same until it is rotated; any_limit_micro: the largest voucher for any provider, in `currency`."""

    key: bytes = at(0, KEY)
    signer: bytes = at(1, KEY)
    name: str = at(2, Text(1, 32))
    any_limit_micro: int = at(3, Integer(0, MAX_AMOUNT_MICRO))
    currency: str = at(4, Text(3, 3))
    until_s: int = at(5, SIGNED_AT)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerList:
    """The issuers that `publisher` vouches for, and serials that count no more. Signed by the publisher; a list is
    replaced only by one with a higher number."""

    publisher: bytes = at(0, KEY)
    number: int = at(1, Integer(1, 2**32 - 1))
    at_s: int = at(2, SIGNED_AT)
    issuers: tuple[Issuer, ...] = at(3, ListOf(Record(Issuer), 0, MAX_ISSUERS), ())
    revoked: tuple[bytes, ...] = at(4, ListOf(SERIAL, 0, MAX_REVOKED), ())

    def __post_init__(self) -> None:
        check(self)
        keys = [issuer.key for issuer in self.issuers]
        require(self, keys == sorted(set(keys)), "issuers", "must rise strictly by key")
        require(self, list(self.revoked) == sorted(set(self.revoked)), "revoked", "must rise strictly")


class VoucherFault(StrEnum):
    """Why a voucher is not taken: the machine code."""

    UNKNOWN_ISSUER = "unknown_issuer"
    WRONG_SIGNER = "wrong_signer"
    ISSUER_EXPIRED = "issuer_expired"
    REVOKED = "revoked"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    WRONG_HOLDER = "wrong_holder"
    WRONG_PROVIDER = "wrong_provider"
    OWN_VOUCHER = "own_voucher"
    ABOVE_LIMIT = "above_limit"

    @property
    def sentence(self) -> str:
        """For people."""
        return _SENTENCES[self]


_SENTENCES = {
    VoucherFault.UNKNOWN_ISSUER: "No list that you trust names the issuer of this voucher.",
    VoucherFault.WRONG_SIGNER: "This voucher is not signed by its issuer.",
    VoucherFault.ISSUER_EXPIRED: "The issuer's place in the list has ended; a newer list is needed.",
    VoucherFault.REVOKED: "This voucher was revoked.",
    VoucherFault.EXPIRED: "This voucher has expired.",
    VoucherFault.NOT_YET_VALID: "This voucher is not valid yet.",
    VoucherFault.WRONG_HOLDER: "This voucher is somebody else's.",
    VoucherFault.WRONG_PROVIDER: "This voucher is good at another provider.",
    VoucherFault.OWN_VOUCHER: "This node has issued the voucher itself; it can't owe itself.",
    VoucherFault.ABOVE_LIMIT: "A voucher for any provider of this issuer may not be as large as this one.",
}


def voucher_fault(
    voucher: Voucher, signer: bytes, lists: Iterable[IssuerList], *, holder: bytes, provider: bytes, at_s: int
) -> VoucherFault | None:
    """Why `provider` should not take this voucher from `holder` for a trade agreed at `at_s`; None: it should.

    signer: the key whose signature was checked. Where several lists name an issuer, each has to be content with it.
    """
    return use_fault(voucher, holder, provider, at_s) or _of_issuer(voucher, signer, list(lists), at_s)


def use_fault(voucher: Voucher, holder: bytes, provider: bytes, at_s: int) -> VoucherFault | None:
    """Why it is not good for a trade of these two that was agreed at `at_s`, whoever issued it."""
    if voucher.issuer == provider:
        return VoucherFault.OWN_VOUCHER
    if voucher.holder != holder:
        return VoucherFault.WRONG_HOLDER
    if voucher.provider not in ((), (provider,)):
        return VoucherFault.WRONG_PROVIDER
    if at_s < voucher.not_before_s:
        return VoucherFault.NOT_YET_VALID
    return VoucherFault.EXPIRED if at_s > voucher.until_s else None


def _of_issuer(voucher: Voucher, signer: bytes, lists: list[IssuerList], at_s: int) -> VoucherFault | None:
    named = [issuer for each in lists for issuer in each.issuers if issuer.key == voucher.issuer]
    if not named:
        return VoucherFault.UNKNOWN_ISSUER
    if any(signer != issuer.signer for issuer in named):
        return VoucherFault.WRONG_SIGNER
    if any(at_s > issuer.until_s for issuer in named):
        return VoucherFault.ISSUER_EXPIRED
    if any(voucher.serial in each.revoked for each in lists):
        return VoucherFault.REVOKED
    small = all(_is_within(voucher, issuer) for issuer in named)
    return None if voucher.provider or small else VoucherFault.ABOVE_LIMIT


def _is_within(voucher: Voucher, issuer: Issuer) -> bool:
    return voucher.currency == issuer.currency and voucher.amount_micro <= issuer.any_limit_micro
