"""The message layer, against a stranger who loses and repeats at will."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.transports.coap.bench import Stranger, post
from transports.coap.address import Peer, parse_address
from transports.coap.datagrams import Counters, UdpSocket, Via, open_own
from transports.coap.endpoint import Endpoint, Fate
from transports.coap.packet import Code, Kind, Packet, empty
from transports.coap.settings import CoapSettings, Pace

FAST = Pace(first_wait_ms=20, spread_permille=0, patience_ms=110)


@dataclass
class Recorder:
    """Takes everything that an endpoint tells."""

    told: asyncio.Queue[object] = field(default_factory=asyncio.Queue)

    def request(self, packet: Packet, peer: Peer, via: Via | None) -> None:
        self.told.put_nowait(packet)

    def reset(self, peer: Peer, mid: int) -> None:
        self.told.put_nowait(("reset", mid))

    def heard(self, packet: Packet) -> None:
        self.told.put_nowait(packet.payload)

    def lost(self, why: str) -> None:
        self.told.put_nowait(why)

    def fate(self, newer: Callable[[], Packet | None] = lambda: None) -> Fate:
        return Fate(lambda: self.told.put_nowait("acknowledged"), lambda why: self.told.put_nowait(why), newer)

    async def next(self) -> object:
        async with asyncio.timeout(2):
            return await self.told.get()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def opened(recorder: Recorder) -> tuple[Endpoint, int]:
    sock = UdpSocket(open_own(CoapSettings(loopback=True)), Counters())
    port = sock.local.port
    endpoint = Endpoint(sock, FAST)
    endpoint.open(recorder)
    return endpoint, port


async def test_a_message_for_which_nobody_waits_is_repeated_for_as_long_as_patience_lasts(recorder: Recorder) -> None:
    endpoint, _ = opened(recorder)
    with Stranger() as stranger:
        endpoint.confirm(post(1), parse_address(stranger.address), recorder.fate())
        assert await recorder.next() == "no acknowledgement came"
        repeats = [await stranger.receive() for _ in range(3)]  # of five, where the machine is quick
        assert len(set(repeats)) == 1
        while not await stranger.hears_nothing(100):  # the next would have been due after 40
            repeats.append(repeats[0])
        assert len(repeats) <= 5
    assert not endpoint.attempts
    endpoint.close()


async def test_a_message_for_which_somebody_waits_is_repeated_until_it_is_stopped(recorder: Recorder) -> None:
    endpoint, _ = opened(recorder)
    with Stranger() as stranger:
        attempt = endpoint.confirm(post(1), parse_address(stranger.address), recorder.fate(), awaited=True)
        repeats = [await stranger.receive() for _ in range(7)]  # the last is sent when patience has run out
        assert len(set(repeats)) == 1
        assert attempt.stop()
        assert await stranger.hears_nothing(200)
    assert recorder.told.empty()
    assert not endpoint.attempts
    endpoint.close()


async def test_a_slow_peer_is_waited_for_longer_from_then_on(recorder: Recorder) -> None:
    endpoint, port = opened(recorder)
    with Stranger() as stranger:
        peer = parse_address(stranger.address)
        assert next(endpoint.waits_ms(peer)) == FAST.first_wait_ms
        endpoint.confirm(post(1), peer, recorder.fate(), awaited=True)
        for _ in range(3):
            await stranger.hears()
        stranger.send(empty(Kind.ACKNOWLEDGEMENT, 1), port)
        assert await recorder.next() == "acknowledged"
        assert next(endpoint.waits_ms(peer)) > FAST.first_wait_ms
        assert next(endpoint.waits_ms(Peer("127.0.0.1", 9))) == FAST.first_wait_ms
    endpoint.close()


@pytest.mark.parametrize(
    ("answer", "fate"),
    [
        (empty(Kind.ACKNOWLEDGEMENT, 1), "acknowledged"),
        (empty(Kind.RESET, 1), "the peer refused the message"),
    ],
)
async def test_an_acknowledgement_or_reset_ends_it(recorder: Recorder, answer: Packet, fate: str) -> None:
    endpoint, port = opened(recorder)
    with Stranger() as stranger:
        endpoint.confirm(post(1), parse_address(stranger.address), recorder.fate())
        await stranger.hears()
        stranger.send(empty(answer.kind, 2), port)  # of another message
        stranger.send(answer, port)
        first = await recorder.next()
        assert (first if first != ("reset", 2) else await recorder.next()) == fate
    assert not endpoint.attempts
    endpoint.close()


async def test_another_host_can_not_end_it(recorder: Recorder) -> None:
    endpoint, port = opened(recorder)
    with Stranger() as stranger, Stranger() as forger:
        endpoint.confirm(post(1), parse_address(stranger.address), recorder.fate())
        await stranger.hears()
        forger.send(empty(Kind.ACKNOWLEDGEMENT, 1), port)
        assert await recorder.next() == "no acknowledgement came"
    endpoint.close()


async def test_a_newer_message_takes_the_place_of_a_repetition(recorder: Recorder) -> None:
    endpoint, port = opened(recorder)
    newer = [post(2, b"newer")]
    with Stranger() as stranger:
        fate = recorder.fate(lambda: newer.pop() if newer else None)
        endpoint.confirm(post(1, b"older"), parse_address(stranger.address), fate)
        assert [(await stranger.hears()).payload for _ in range(3)] == [b"older", b"newer", b"newer"]
        stranger.send(empty(Kind.ACKNOWLEDGEMENT, 2), port)
        assert await recorder.next() == "acknowledged"
    assert not endpoint.attempts
    endpoint.close()


async def test_who_waits_hears_at_once_that_there_is_no_way(recorder: Recorder) -> None:
    endpoint, _ = opened(recorder)
    nowhere = Peer("255.255.255.255", 9)
    endpoint.confirm(post(1), nowhere, recorder.fate(), awaited=True)
    assert "denied" in str(recorder.told.get_nowait())
    endpoint.confirm(post(2), nowhere, recorder.fate())
    assert recorder.told.empty()
    endpoint.close()


async def test_answers_reach_their_listener_and_are_acknowledged(recorder: Recorder) -> None:
    endpoint, port = opened(recorder)
    with Stranger() as stranger, Stranger() as forger:
        peer = parse_address(stranger.address)
        token = endpoint.new_token(peer)
        endpoint.listen(peer, token, recorder)
        forger.send(Packet(Kind.CONFIRMABLE, Code.CONTENT, 6, token, b"forged"), port)
        stranger.send(Packet(Kind.CONFIRMABLE, Code.CONTENT, 7, b"else", b"wrong token"), port)
        stranger.send(Packet(Kind.CONFIRMABLE, Code.CONTENT, 8, token, b"right"), port)
        assert await recorder.next() == b"right"
        assert await stranger.hears() == empty(Kind.ACKNOWLEDGEMENT, 8)
        assert await forger.hears_nothing(30)
    endpoint.close()


async def test_only_what_we_left_is_answered_with_a_reset(recorder: Recorder) -> None:
    endpoint, port = opened(recorder)
    with Stranger() as stranger:
        peer = parse_address(stranger.address)
        for token, refuse in ((b"kept", False), (b"left", True)):
            endpoint.listen(peer, token, recorder)
            endpoint.unlisten(peer, token, refuse=refuse)
            stranger.send(Packet(Kind.NON_CONFIRMABLE, Code.CONTENT, 7 + refuse, token), port)
        assert await stranger.hears() == empty(Kind.RESET, 8)
    assert recorder.told.empty()
    endpoint.close()


async def test_closing_tells_whoever_waits(recorder: Recorder) -> None:
    endpoint, _ = opened(recorder)
    endpoint.listen(Peer("127.0.0.1", 9), b"a", recorder)
    endpoint.confirm(post(1), Peer("127.0.0.1", 9), recorder.fate())
    endpoint.close()
    assert recorder.told.get_nowait() == "the bearer was closed"
    assert recorder.told.empty()
    assert endpoint.closed


async def test_pings_and_nonsense_go_unanswered(recorder: Recorder) -> None:
    endpoint, port = opened(recorder)
    with Stranger() as stranger:
        stranger.send(empty(Kind.CONFIRMABLE, 1), port)
        stranger.send(b"\xff" * 40, port)
        stranger.send(Packet(Kind.ACKNOWLEDGEMENT, Code.POST, 2), port)
        stranger.send(Packet(Kind.RESET, Code.CONTENT, 3, b"x"), port)
        stranger.send(post(4, b"sense"), port)
        heard = await recorder.next()
        assert isinstance(heard, Packet)
        assert heard.payload == b"sense"
        assert await stranger.hears_nothing(30)
    endpoint.close()


async def test_message_ids_go_round_and_tokens_do_not_repeat(recorder: Recorder) -> None:
    endpoint, _ = opened(recorder)
    peer = Peer("127.0.0.1", 9)
    mids = [endpoint.new_mid(peer) for _ in range(1 << 16)]
    assert sorted(mids) == list(range(1 << 16))
    assert len({endpoint.new_token(peer) for _ in range(100)}) == 100
    endpoint.close()


async def test_no_message_takes_the_id_of_one_that_still_waits(recorder: Recorder) -> None:
    endpoint, port = opened(recorder)
    with Stranger() as stranger, Stranger() as other:
        peer = parse_address(stranger.address)
        waiting = endpoint.new_mid(peer)
        endpoint.confirm(post(waiting, b"first"), peer, recorder.fate(), awaited=True)
        assert waiting not in {endpoint.new_mid(peer) for _ in range(1 << 16)}
        assert waiting in {endpoint.new_mid(parse_address(other.address)) for _ in range(1 << 16)}
        assert (await stranger.hears()).payload == b"first"
        stranger.send(empty(Kind.ACKNOWLEDGEMENT, waiting), port)
        assert await recorder.next() == "acknowledged"
        assert waiting in {endpoint.new_mid(peer) for _ in range(1 << 16)}
    endpoint.close()
