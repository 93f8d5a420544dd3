"""What two nodes tell each other outside of sessions: entries about money between them, and checkpoints to witness.

The dialer of a link drives it, frame by frame, until neither has anything left to say. Each frame says which entries
of the last one are kept, so that nothing is lost with an answer and nothing has to be remembered with a link.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ledger.errors import Fork, Full
from ledger.store.transaction import Transaction
from ledger.store.view import View
from ledger.witnessing.fork import fork_of_entries
from ledger.witnessing.forks import keep_fork
from market.terms import Correspond
from market.units import MS_PER_SECOND
from v2xnode.clock import Clock
from v2xnode.envelope import MAX_ITEMS, FrameInvalid, Item, Link, Plain, fitting, message_of, read
from v2xnode.errors import PeerError
from v2xnode.events import EventLog
from v2xnode.identity import Identity, short
from v2xnode.links import AcceptedLink, DialledLink, PeerLink, RawItems
from v2xnode.settling import accounting
from v2xnode.trading import witnessing
from v2xnode.trading.books import Books, is_told_outside
from v2xnode.trading.witnessing import Alarm, Said

MAX_ROUNDS = 64
"""Frames of one correspondence; what is left waits for the next."""

_OTHERS = 4
"""Items of a frame beside its entries: the opening, and what is said of checkpoints."""


@dataclass(frozen=True, slots=True)
class Page:
    """One frame, as it was read."""

    opening: Correspond
    entries: Sequence[Link]
    said: Sequence[Said]


@dataclass(slots=True)
class Round:
    """What goes out next. kept: entries of the peer's that this acknowledges; replies: answers to what it said."""

    kept: tuple[bytes, ...] = ()
    replies: list[Plain] = field(default_factory=list)
    entries: Sequence[Link] = ()
    alarms: Sequence[Alarm] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.kept or self.replies or self.entries)

    @property
    def items(self) -> Sequence[Item]:
        """The frame."""
        about = next((each.signed.request_id for each in self.entries if each.signed.request_id), b"")
        return fitting([Plain(Correspond(about, self.kept)), *self.replies, *self.entries])


@dataclass(frozen=True, slots=True)
class Correspondence:
    """One node's. Every frame is one commit: what it acknowledges, keeps and answers."""

    identity: Identity
    books: Books
    clock: Clock
    events: EventLog

    async def serve(self, link: AcceptedLink, items: RawItems) -> Sequence[Item]:
        """Answer a frame of a peer's. Raises PeerError; then nothing of the frame counts."""
        if not link.session.established:
            return ()
        page = self._read(link, items)
        return (await self._take(link.peer, (), page)).items

    async def exchange(self, link: DialledLink) -> None:
        """Tell the peer all that it has not heard, hear what it has to say, and have checkpoints cosigned.

        Raises LinkLost, or PeerError for a peer that breaks the rules.
        """
        turn = await self.books.run(lambda transaction: self._begin(transaction, link.peer))
        for _ in range(MAX_ROUNDS):
            said = turn.items
            page = self._read(link, await link.ask(said))
            turn = await self._take(link.peer, said, page)
            if turn.is_empty:
                return

    async def _take(self, peer: bytes, said: Sequence[Item], page: Page) -> Round:
        """One commit: what we have said has arrived, and this came back. A second entry for a place is refused, and
        the proof of that is kept."""

        def work(transaction: Transaction) -> Round | Fork:
            for item in said:
                transaction.outbox_done(item.digest, peer=peer)
            try:
                return self._turn(transaction, peer, page)
            except Fork as fork:
                keep_fork(transaction, fork_of_entries(fork.held, fork.shown))
                return fork

        turn = await self.books.run(work)
        if isinstance(turn, Fork):
            raise PeerError(str(turn), code=turn.code)
        for alarm in turn.alarms:
            self.events.tell("signed_twice", peer=short(peer), epoch=alarm.epoch.hex(), size=alarm.size)
        return turn

    def _begin(self, transaction: Transaction, peer: bytes) -> Round:
        ours = witnessing.to_show(transaction, peer)
        return Round((), [] if ours is None else [Plain(ours)], _letters(transaction, peer))

    def _turn(self, transaction: Transaction, peer: bytes, page: Page) -> Round:
        """Keep what a frame says; what to say next."""
        if not transaction.has_traded(peer):
            raise PeerError("Strangers have nothing to tell each other.", code="stranger")
        for digest in page.opening.heard:
            transaction.outbox_done(digest, peer=peer)
        now_s = self.clock.wall_ms() // MS_PER_SECOND
        for entry in page.entries:
            transaction.outbox_done(entry.signed.entry.answers, peer=peer)
            accounting.receive(transaction, entry.signed, now_s)
        replies = [reply for said in page.said for reply in _heard(transaction, peer, said, now_s)]
        return Round(
            tuple(entry.digest for entry in page.entries),
            [Plain(reply) for reply in replies if not isinstance(reply, Alarm)],
            _letters(transaction, peer),
            [reply for reply in replies if isinstance(reply, Alarm)],
        )

    def _read(self, link: PeerLink, items: RawItems) -> Page:
        if not items:
            raise FrameInvalid("A correspondence is answered with one.")
        opening = read(items[0], link.context(self.identity.public, None)).message
        if not isinstance(opening, Correspond):
            raise FrameInvalid("A correspondence begins with its opening.")
        context = replace(link.context(self.identity.public, opening.session_id or None), outside=True)
        read_items = [read(raw, context) for raw in items[1:]]
        entries = [item for item in read_items if isinstance(item, Link) and is_told_outside(item.signed)]
        said = [item.message for item in read_items if isinstance(item, Plain) and isinstance(item.message, Said)]
        if len(entries) + len(said) < len(read_items):
            raise FrameInvalid("This does not belong into a correspondence.")
        return Page(opening, entries, said)


def _heard(transaction: Transaction, peer: bytes, said: Said, now_s: int) -> Sequence[Said | Alarm]:
    """What to answer; nothing where there is no room for one more checkpoint: money is spoken of all the same."""
    try:
        return list(witnessing.hear(transaction, peer, said, now_s))
    except Full:
        return ()


def _letters(view: View, peer: bytes) -> Sequence[Link]:
    """What the peer has to be told, oldest first; of one trade at most, which the frame can name."""
    waiting = [each.signed for each in view.outbox(peer) if is_told_outside(each.signed)]
    about = next((signed.request_id for signed in waiting if signed.request_id), None)
    fit = [signed for signed in waiting if signed.request_id in (None, about)]
    return [Link(message_of(signed), signed) for signed in fit[: MAX_ITEMS - _OTHERS]]
