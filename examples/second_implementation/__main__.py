"""`python -m examples.second_implementation coap://HOST:PORT/t`: buy energy for a load, and check every word of it."""

import argparse
import asyncio
import os
import sys
import time
from contextlib import suppress

from aiocoap.protocol import Context

from examples.second_implementation import messages as m
from examples.second_implementation.cable import Cable, Plant
from examples.second_implementation.channel import Channel
from examples.second_implementation.entries import Chain
from examples.second_implementation.frames import Sealed, Signed, sign
from examples.second_implementation.keys import Identity, ProtocolError, Unheard, need
from examples.second_implementation.purchase import (
    WITHDRAWN,
    Purchase,
    check_offer,
    electrical,
    now_s,
    request,
)
from examples.second_implementation.verify import verified

START_MS = 10_000
"""A Start counts for 10 s of the world after its Ready."""
SUBSCRIBE_AGAIN = 3
"""Periods without a Status."""
STOPPED_BY_OWNER = 64


def tell(sentence: str) -> None:
    print(sentence, flush=True)


async def negotiate(channel: Channel, identity: Identity, energy_wh: int) -> Purchase:
    """Greet, ask, and take the offer; the Accept is written and not yet said."""
    chain, request_id = Chain(identity), os.urandom(16)
    provider = await channel.greet()
    channel.session.request_id = request_id
    asked = sign(identity, m.REQUEST, request(request_id, provider, energy_wh))
    hello = Sealed(m.HELLO, {"electrical": electrical(), "epoch": chain.epoch})
    items = await channel.open(hello, asked)
    need(len(items) == 2 and items[0].kind == m.HELLO, "The first frame begins with Hello.")
    offer = items[1]
    if not isinstance(offer, Signed):
        need(isinstance(offer, Sealed) and offer.kind == m.DECLINE, "Neither an offer nor a refusal.")
        raise ProtocolError(f"The provider declines: {offer.values}")
    check_offer(offer.values, energy_wh)
    steps = offer.values["price_steps"]
    tell(f"Offer of {provider.hex()[:12]}: {offer.values['energy_wh']} Wh at {steps} (signature checked).")
    channel.session.said.append(offer.hash)
    return Purchase(chain, provider, request_id, offer, tell)


async def agree(channel: Channel, trade: Purchase) -> None:
    """Accept and Ready in one frame; Confirm and Start come back."""
    channel.session.said = trade.said
    trade.hear(await channel.ask(trade.accept, trade.ready()))
    need(trade.confirm is not None, "The provider does not confirm.")
    tell(f"Confirmed as {trade.request_id.hex()}.")


async def withdraw(channel: Channel, trade: Purchase) -> None:
    """Without a cable nothing can flow: end the agreement before it begins."""
    need(trade.confirm is not None, "There is nothing to withdraw from.")
    answers = trade.held[-1].hash
    void = trade.write(m.VOID, answers, {"at_s": now_s(), "reason": WITHDRAWN})
    await channel.ask(void)
    tell("No cable was named (--plant, --plug): the agreement is void, 0 Wh.")


async def receive(channel: Channel, trade: Purchase, cable: Cable, speed: int) -> None:
    """From Start to Closed: one look at the cable, one word to the provider, each half period."""
    period_s = trade.offer.values["status_period_ms"] / 1_000 / speed
    ready_s = heard_s = time.monotonic()
    begun = False
    while trade.closed is None or trade.due:
        number = trade.status and trade.status["number"]
        trade.hear(channel.pushes())
        if not trade.started and (time.monotonic() - ready_s) * speed * 1_000 >= START_MS:
            ready_s = time.monotonic()
            trade.hear(await channel.ask(trade.ready()))
        if trade.started and not begun:
            begun = True
            trade.cable = cable
            cable.begin()
            trade.hear(await channel.subscribe())
        if begun:
            if trade.stopped:
                cable.off()
            cable.look(trade.plug, allowed=bool(trade.receipts))
            trade.answer_interval()
            trade.answer_close()
            await _speak(channel, trade)
        if (trade.status and trade.status["number"]) != number:
            heard_s = time.monotonic()
        elif begun and time.monotonic() - heard_s > SUBSCRIBE_AGAIN * period_s and not trade.stopped:
            heard_s = time.monotonic()
            trade.hear(await channel.subscribe())
        await asyncio.sleep(period_s / 2)
    cable.unlock()


async def _speak(channel: Channel, trade: Purchase) -> None:
    channel.session.said = trade.said
    closing = trade.closed is not None
    try:
        answer = await channel.ask(*trade.words())
    except Unheard:
        return  # the next look says all of it again
    trade.hear(answer)
    if closing:
        trade.due = []


async def give_up(channel: Channel, trade: Purchase) -> None:
    """Our power is off already; the provider hears it now, or by our silence."""
    with suppress(ProtocolError):
        await channel.ask(trade.control(m.STOP, reason=STOPPED_BY_OWNER))


async def deliver(channel: Channel, trade: Purchase, arguments: argparse.Namespace) -> None:
    """Receive what was agreed; whatever happens, our end of the cable is off afterwards."""
    plant = Plant(arguments.plant, arguments.plug)
    try:
        async with asyncio.timeout(arguments.timeout_s):
            await receive(channel, trade, Cable(plant), arguments.speed)
    except (ProtocolError, TimeoutError):
        plant.command({"do": "open"})
        await give_up(channel, trade)
        raise
    finally:
        plant.command({"do": "open"})
        plant.close()


async def buy(arguments: argparse.Namespace) -> None:
    """One purchase from beginning to end. Raises ProtocolError."""
    identity = Identity(bytes.fromhex(arguments.seed) if arguments.seed else os.urandom(32))
    channel = Channel(await Context.create_client_context(), arguments.address, identity)
    try:
        trade = await negotiate(channel, identity, arguments.energy_wh)
        await agree(channel, trade)
        if arguments.plant is None:
            await withdraw(channel, trade)
            return
        await deliver(channel, trade, arguments)
        for line in verified(trade):
            tell(line)
    finally:
        await channel.hang_up()


def main() -> int:
    parser = argparse.ArgumentParser(prog="second_implementation", description=__doc__)
    parser.add_argument("address", help="coap://HOST:PORT/t of the provider")
    parser.add_argument("--energy-wh", type=int, default=500)
    parser.add_argument("--seed", help="our Ed25519 seed, 64 hexadecimal digits (a new one)")
    parser.add_argument("--plant", help="socket of the simulated plant; without it nothing is delivered")
    parser.add_argument("--plug", default="cabin.v2l", help="our terminal and meter there")
    parser.add_argument("--speed", type=int, default=1, help="how fast the provider's clock runs")
    parser.add_argument("--timeout-s", type=int, default=3_600, help="give up after so many real seconds")
    try:
        asyncio.run(buy(parser.parse_args()))
    except (ProtocolError, TimeoutError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
