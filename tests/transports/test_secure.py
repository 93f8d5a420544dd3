"""The door of the secure link: machines that do no I/O, over a network that loses, repeats and reorders."""

import asyncio

import pytest

from tests.support.virtual_time import VirtualTimeLoop
from tests.transports.pairs import HOME_KEY, acceptor, dialer, entropy, question
from transports import secure
from transports.errors import LinkLost
from transports.interface import Link, Pusher
from transports.memory import MemoryNetwork
from transports.secure import Accepted, Acceptor, Named, Opened, Received, Send, Session

loop_factory = VirtualTimeLoop


class _Host:
    """Answers an opening with `offer`, and each record with its plaintext reversed."""

    def __init__(self) -> None:
        self.acceptor: Acceptor = acceptor()
        self.sessions: set[Session] = set()

    async def answer(self, frame: bytes, source: str) -> bytes | None:
        now_ms = int(asyncio.get_running_loop().time() * 1000)
        outcome = self.acceptor.receive(frame, source, now_ms)
        if isinstance(outcome, Send):
            return outcome.frame
        if isinstance(outcome, Accepted):
            self.sessions.add(outcome.session)
            return outcome.reply(b"offer")
        if isinstance(outcome, Received):
            return outcome.session.seal(outcome.plaintext[::-1])
        return None

    async def subscribed(self, frame: bytes, source: str, pusher: Pusher) -> bytes | None:
        return None


async def _open(link: Link, remote: bytes | None, seed: int) -> Opened:
    guest = dialer(remote, seed=seed)
    answer = guest.receive(await link.request(question(guest), timeout_ms=60_000))
    if isinstance(answer, Named):
        answer = guest.receive(await link.request(guest.introduce(b"request"), timeout_ms=60_000))
    assert isinstance(answer, Opened)
    return answer


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("remote", [HOME_KEY, None])
async def test_links_open_and_carry_records_in_foul_weather(remote: bytes | None, seed: int) -> None:
    network = MemoryNetwork(seed, loss_permille=200, duplicate_permille=200, reorder_permille=200)
    host, passive = _Host(), _Host()
    vehicle = network.transport("vehicle")
    async with network.transport("home").serving(host), vehicle.serving(passive):
        link = await vehicle.dial("home")
        opened = await _open(link, remote, seed)
        assert (opened.peer, opened.payload) == (HOME_KEY, b"offer")
        for number in range(5):
            assert await _ask(link, opened.session, b"record %d" % number) == b"%d drocer" % number
        assert host.acceptor.holds(next(iter(host.sessions)))


async def _ask(link: Link, session: Session, plaintext: bytes) -> bytes:
    """A record once delivered is a replay when the bearer repeats it, so a lost answer needs a fresh record."""
    for _ in range(20):
        try:
            return session.open(await link.request(session.seal(plaintext), timeout_ms=1_000))
        except LinkLost:
            continue
    raise AssertionError("twenty records in a row were lost")


def test_the_door_offers_what_it_lists() -> None:
    assert set(secure.__all__) <= set(vars(secure))


def test_drawn_ids_differ_between_lives_of_a_node() -> None:
    drawn = {secure.draw_link_id(entropy(seed), lambda _: False) for seed in range(100)}
    assert len(drawn) > 90
