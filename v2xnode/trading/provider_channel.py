"""A provider's way to its client: it answers what is asked, and pushes the state with all that is outstanding."""

from collections.abc import Sequence
from dataclasses import dataclass

from market.terms import Alive, PowerState, Status
from v2xnode.envelope import Item, Link, Plain, fitting, in_full
from v2xnode.links import AcceptedLink
from v2xnode.trading.channel import MAX_OUTSTANDING, supersedes, there


@dataclass(slots=True)
class _Outstanding:
    item: Item
    pushed_with: int | None = None


class ProviderChannel:
    """The acceptor's end: answers what is being asked, and pushes the session's state with all that is outstanding.

    link: None until the client of a session from before a restart is back.
    """

    def __init__(self, link: AcceptedLink | None) -> None:
        self._link = link
        self._outstanding: list[_Outstanding] = []
        self._answer: list[Item] | None = None
        self._status = Status(number=0, delivered_wh=0, power_w=0, state=PowerState.OFF)

    @property
    def link(self) -> AcceptedLink:
        """Raises Unreachable while there is none."""
        return there(self._link)

    @property
    def bearer(self) -> str | None:
        return None if self._link is None else self._link.bearer

    def move(self, link: AcceptedLink) -> bool:
        """Go on over another link of the same peer, if it is a later one: a frame of an earlier one is late, or was
        held back. What was pushed over the last link need not have come. Whether it took the place of one."""
        last = self._link
        if last is link or (last is not None and last.number > link.number):
            return False
        self._link = link
        for each in self._outstanding:
            each.pushed_with = None
        if last is not None:
            last.end()
        return last is not None

    def begin_answer(self) -> None:
        """From now on what is sent belongs to the answer of a question."""
        self._answer = []

    def end_answer(self) -> Sequence[Item]:
        """The answer's items, at most what a frame holds; the rest is pushed."""
        answer, self._answer = self._answer or [], None
        return fitting(answer)

    def send(self, item: Item) -> None:
        self._outstanding = [each for each in self._outstanding if not supersedes(item, each.item)]
        self._outstanding = [*self._outstanding[-MAX_OUTSTANDING + 1 :], _Outstanding(item)]
        if self._answer is None:
            self.push(confirmed=True)
        else:
            self._answer.append(item)
            self._outstanding[-1].item = in_full(item)

    def push_status(self, status: Status) -> None:
        """The newest state, with what is outstanding."""
        self._status = status
        self.push(confirmed=bool(self._outstanding))

    def push(self, *, confirmed: bool) -> None:
        """Push state and outstanding items to a subscribed client."""
        if self._link is not None and self._link.is_subscribed:
            self._link.push(self.state_items(), confirmed=confirmed)

    def state_items(self) -> list[Item]:
        """The session's state as one frame. What does not fit into it has not been shown, and waits."""
        state = fitting([Plain(self._status), *(each.item for each in self._outstanding)])
        for each in self._outstanding[: len(state) - 1]:
            each.item = in_full(each.item)
            if each.pushed_with is None:
                each.pushed_with = self._status.number
        return state

    def acknowledged(self, digest: bytes) -> None:
        self._outstanding = [each for each in self._outstanding if each.item.digest != digest or not digest]

    def heard_alive(self, alive: Alive) -> list[bytes]:
        """A client that has seen a later Status has seen what came with the earlier ones; the entries among them. One
        that names a Status which we have not said yet means one of before a restart."""
        if alive.status_number > self._status.number:
            return []
        seen = [each for each in self._outstanding if _seen(each, alive.status_number)]
        self._outstanding = [each for each in self._outstanding if each not in seen]
        return [each.item.digest for each in seen if isinstance(each.item, Link)]


def _seen(outstanding: _Outstanding, status_number: int) -> bool:
    return outstanding.pushed_with is not None and status_number > outstanding.pushed_with
