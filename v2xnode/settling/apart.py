"""What entries have come to for those that follow them, beside the money of a trade."""

from dataclasses import dataclass

from market.terms import Net, Pay


@dataclass(frozen=True, slots=True)
class Apart:
    """A Net or Pay as its answer is judged by."""

    own: bool
    message: Net | Pay

    def check_answered_by(self, node: bytes) -> None:
        """Raises ValueError unless a peer that answers what is ours is the one to which that was said, or the issuer of
        the voucher that it draws on."""
        draws = self.message.draws if isinstance(self.message, Pay) else ()
        if self.own and node not in (self.message.peer, *(draw.issuer for draw in draws)):
            raise ValueError("this answers what we have signed with somebody else")


@dataclass(frozen=True, slots=True)
class Netted:
    """A trade whose bodies were dropped: what it posted stands, and nothing more can be said of it."""
