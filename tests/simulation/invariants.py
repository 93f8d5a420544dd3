"""What must hold of every run, whatever went wrong in it: checked on the nodes' databases and on the plant's truth."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import permutations

from ledger.audit.verify import verify
from ledger.store.reader import LedgerReader
from ledger.store.view import StoredEntry
from market.terms import Dispute
from market.units import Role
from tests.simulation.disk import engine_over
from tests.simulation.life import Body
from tests.simulation.plan import ACTS
from tests.simulation.world import World
from v2xnode.cli.demo.world import CAR_A, RESERVE_WH
from v2xnode.settling.money import posting_rule
from v2xnode.settling.names import payable, receivable
from v2xnode.settling.trades import Trade, trades
from v2xnode.trading.remains import unheard

OPEN_STATES = frozenset({"agreed", "delivering", "closing", "disputed"})
METER_WH = 1
"""A meter shows whole Wh."""


class Broken(Exception):
    """An invariant does not hold. number: in the order of the design's list."""

    def __init__(self, number: int, sentence: str) -> None:
        super().__init__(f"invariant {number}: {sentence}")
        self.number = number


@dataclass(frozen=True, slots=True)
class Books:
    """All that one node's database says at the end."""

    place: str
    entries: Sequence[StoredEntry]
    trades: Sequence[Trade]
    locks: int
    waiting: int
    posted: Mapping[str, int]
    pending_micro: int
    fault: str

    @property
    def key(self) -> bytes:
        """Whose they are."""
        return next(each.entry.node for each in self.entries if each.own)


def check(world: World) -> None:
    """Raises Broken."""
    read = {body.name: _read(body) for body in world.bodies.values()}
    for books in read.values():
        _demand(4, not books.fault, f"{books.place}: {books.fault}")
    for one, other in permutations(read.values(), 2):
        _nothing_lost(one, other)
    for one, other in permutations(read.values(), 2):
        _agree(one, other)
    if not world.drawn.lies:
        for books in read.values():
            _undisputed(books)
    _receipted(world, read)
    _plant(world)
    _promises(world)
    for books in read.values():
        _ended(books)
    _demand(7, world.at_rest(), "the world does not come to rest")


def _read(body: Body) -> Books:
    with opened(body) as reader:
        report = verify(reader, posting_rule)
        entries: list[StoredEntry] = []
        while page := reader.page(after=entries[-1].position if entries else 0):
            entries += page
        return Books(
            body.name,
            entries,
            trades(reader),
            len(reader.locks()),
            len(unheard(reader)),
            {account: each.posted_micro for (account, _), each in reader.balances().items()},
            sum(abs(each.pending_micro) for each in reader.balances().values()),
            "" if report.ok else report.sentence,
        )


@contextmanager
def opened(body: Body) -> Iterator[LedgerReader]:
    """What a node's disk holds, whether it lives or not."""
    if body.life is not None:
        body.disk.lose_process(body.life.writer.driver)
    engine = engine_over(body.disk.connect())
    with LedgerReader(engine, engine.connect()) as reader:
        yield reader


def _demand(number: int, holds: bool, sentence: str) -> None:
    if not holds:
        raise Broken(number, sentence)


def _nothing_lost(one: Books, other: Books) -> None:
    """What `other` holds of `one`'s chain is in that chain."""
    own = {(each.entry.epoch, each.entry.seq): each for each in one.entries if each.own}
    for each in other.entries:
        if each.entry.node == one.key:
            held = own.get((each.entry.epoch, each.entry.seq))
            what = f"{each.type.name} {each.entry.seq} of {one.place}, held by {other.place},"
            _demand(2, held is not None, f"{what} is lost")
            _demand(2, held is None or held.hash == each.hash, f"{what} was signed twice")


def _agree(one: Books, other: Books) -> None:
    theirs = {each.request_id: each for each in other.trades}
    for each in one.trades:
        match = theirs.get(each.request_id)
        name = each.request_id.hex()[:8]
        if each.peer == other.key and match is None:
            _demand(1, _outcome(each) == "nothing", f"trade {name} is {each.state} for {one.place} alone")
        if match is None or each.role is not Role.PROVIDER or match.role is not Role.CLIENT:
            continue
        outcomes = {_outcome(each), _outcome(match)}
        _demand(1, len(outcomes) == 1, f"trade {name} is {each.state} for {one.place}, {match.state} for {other.place}")
        _demand(4, each.agreed_wh == match.agreed_wh, f"trade {name}: {each.agreed_wh} Wh and {match.agreed_wh} Wh")
        _demand(4, each.amounts_micro == match.amounts_micro, f"trade {name}: amounts differ")
    owed, owes = one.posted.get(receivable(other.key), 0), other.posted.get(payable(one.key), 0)
    _demand(4, owed == -owes, f"{one.place} is owed {owed} millionths, {other.place} owes {-owes}")


def _undisputed(books: Books) -> None:
    """Honest meters differ by what was agreed at most, whatever gets lost or comes twice."""
    for each in books.trades:
        disputed = any(isinstance(message, Dispute) for _, message in each.entries)
        _demand(4, not disputed, f"trade {each.request_id.hex()[:8]} of {books.place} is disputed, and no meter lies")


def _outcome(trade: Trade) -> str:
    """Settled, or nothing came of it."""
    return "settled" if trade.state in ("settled", "closing") else "nothing" if trade.agreed_wh == 0 else trade.state


def _receipted(world: World, read: dict[str, Books]) -> None:
    """The plant's meter of each provider shows no more than what was receipted, and the exposure of each session."""
    for service in world.drawn.services:
        terminal = ACTS[service][1]
        sold = [
            each
            for each in read[terminal.split(".")[0]].trades
            if each.role is Role.PROVIDER and each.request is not None and each.request.service is service
        ]
        delivered_wh = world.plant.read(terminal).export_wh - world.begun_wh[terminal]
        receipted_wh = sum(_metered_wh(each) for each in sold)
        allowed_wh = sum(each.offer.exposure_wh for each in sold if each.offer is not None)
        lost_wh = delivered_wh - receipted_wh
        _demand(3, lost_wh <= allowed_wh + METER_WH, f"{terminal}: {lost_wh} Wh unreceipted, {allowed_wh} Wh allowed")


def _metered_wh(trade: Trade) -> int:
    return trade.registers_wh()["provider"] if trade.last_receipt is not None else 0


def _plant(world: World) -> None:
    """Reserve and permits, as the plant saw them."""
    broken = world.plant.log.of("violation")
    _demand(5, not broken, f"the plant was asked for what no node should ask: {broken[:1]}")
    if CAR_A in world.bodies:
        energy_wh = world.plant.state(CAR_A).usable_energy_wh
        _demand(5, world.lowest_wh >= RESERVE_WH - METER_WH, f"car_a fell to {world.lowest_wh} Wh ({energy_wh} usable)")
    for place, died_ms, terminal, power_w in world.unpermitted:
        _demand(5, False, f"{terminal} carried {power_w} W, {place} dead since {died_ms} ms")


def _promises(world: World) -> None:
    _demand(5, not world.going_on, f"session {world.going_on[:1]} carried power after it was stopped")
    _demand(6, not world.promised_twice, f"{world.promised_twice[:1]} sold twice at once")


def _ended(books: Books) -> None:
    for each in books.trades:
        name = f"trade {each.request_id.hex()[:8]} of {books.place}"
        _demand(7, each.state not in OPEN_STATES, f"{name} is still {each.state}")
    _demand(7, not books.locks, f"{books.place} holds {books.locks} locks")
    _demand(4, not books.pending_micro, f"{books.place} has {books.pending_micro} millionths pending")
    _demand(7, not books.waiting, f"{books.place} has {books.waiting} sessions to tell of")
