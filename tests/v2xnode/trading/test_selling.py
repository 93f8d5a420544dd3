"""One request at its provider: an offer, one answer to each Accept, and what has no place in between."""

import pytest

from ledger.entry import EntryType
from market.errors import Reason
from market.terms import Alive, Confirm, Decline, Offer, Ready, Reject, Void
from tests.support.market_terms import request
from tests.support.node_shop import Counter, Shop, at_counter, linked, raw, shop, stop_selling
from v2xnode.envelope import FrameInvalid, Link, Plain, sign_letter
from v2xnode.errors import PeerError
from v2xnode.trading.selling import MAX_ENTRIES


async def written(side: Shop, at: Counter) -> list[EntryType]:
    """Types of the trade's entries in a ledger."""
    return await side.books.run(lambda view: [each.type for each in view.entries(at.id)])


async def test_request_offer_accept_confirm() -> None:
    async with shop() as side, shop(2) as client:
        at = await at_counter(client, side)
        assert isinstance(at.offer.message, Offer)
        assert side.told("offered")[0].data["energy_wh"] == at.offer.message.energy_wh
        assert at.selling.is_undecided
        accept = await at.accept()
        [confirm] = await at.say(accept)
        assert isinstance(confirm, Link)
        assert isinstance(confirm.message, Confirm)
        assert confirm.signed.entry.answers == accept.digest
        assert not at.selling.is_undecided
        assert not at.selling.is_over
        assert await written(side, at) == [EntryType.ACCEPT, EntryType.CONFIRM]


async def test_an_accept_said_again_gets_the_same_confirm_and_writes_nothing() -> None:
    async with shop() as side, shop(2) as client:
        at = await at_counter(client, side)
        accept = await at.accept()
        first, again = await at.say(accept), await at.say(accept)
        assert [item.digest for item in again] == [item.digest for item in first]
        assert len(await written(side, at)) == 2


async def test_a_confirm_leaves_out_what_it_answers_once_and_its_repetition_does_not() -> None:
    async with shop() as side, shop(2) as client:
        at = await at_counter(client, side)
        accept = await at.accept()
        said = [*await at.say(accept), *await at.say(accept)]
        assert [item.brief for item in said if isinstance(item, Link)] == [True, False]


async def test_a_ready_beside_an_accept_that_is_rejected_is_void() -> None:
    async with shop() as side, shop(2) as client:
        at = await at_counter(client, side)
        stop_selling(side)
        said = await at.say(await at.accept(), Plain(Ready(1, bytes(8))))
        assert [type(item.message) for item in said] == [Reject]
        assert at.selling.delivering is None


async def test_of_two_accepts_one_is_confirmed() -> None:
    async with shop() as side, shop(2) as client:
        at = await at_counter(client, side)
        said = await at.say(await at.accept(at_s=1), await at.accept(at_s=2))
        assert [type(item.message) for item in said] == [Confirm, Reject]
        assert isinstance(said[1].message, Reject)
        assert said[1].message.reason is Reason.OFFER_SUPERSEDED


async def test_a_request_said_again_gets_the_same_answer() -> None:
    async with shop() as side, shop(2) as client:
        at = await at_counter(client, side)
        assert await at.selling.again(raw(at.letter)[0]) == [at.offer]
        assert await written(side, at) == []


async def test_a_refused_request_is_over_and_refused_again() -> None:
    async with shop(owner={"provides": []}) as side, shop(2) as client:
        letter = sign_letter(client.identity.signer, request(provider=side.key))
        selling = side.sell(await linked(client, side), letter)
        [decline] = await selling.open()
        assert isinstance(decline.message, Decline)
        assert decline.message.reason is Reason.NOT_OFFERED
        assert await selling.again(raw(letter)[0]) == [decline]
        assert selling.is_over


async def test_an_owner_who_changed_the_limits_since_the_offer_rejects() -> None:
    async with shop() as side, shop(2) as client:
        at = await at_counter(client, side)
        stop_selling(side)
        [reject] = await at.say(await at.accept())
        assert isinstance(reject.message, Reject)
        assert reject.message.reason is Reason.NOT_OFFERED
        assert side.told("refused")[0].data["code"] == "service_off"
        assert await side.books.run(lambda view: list(view.locks())) == []
        assert at.selling.is_over


async def test_an_entry_of_somebody_else_is_refused_and_not_kept() -> None:
    async with shop() as side, shop(2) as client, shop(3) as thief:
        at = await at_counter(client, side)
        theirs = Counter(thief, side, at.letter, at.selling, at.offer)
        with pytest.raises(PeerError):
            await at.say(await theirs.accept())
        assert await written(side, at) == []
        [confirm] = await at.say(await at.accept())
        assert isinstance(confirm.message, Confirm)


async def test_an_entry_that_belongs_to_a_delivery_has_no_place_before_it() -> None:
    async with shop() as side, shop(2) as client:
        at = await at_counter(client, side)
        confirm = await client.entry(Confirm(side.key, 0), at.offer.digest, at.letter, at.offer, request_id=at.id)
        with pytest.raises(FrameInvalid):
            await at.say(confirm)
        assert await written(side, at) == []


async def test_a_peer_can_not_fill_the_ledger_with_one_request() -> None:
    async with shop() as side, shop(2) as client:
        at = await at_counter(client, side)
        stop_selling(side)
        for number in range(MAX_ENTRIES):
            await at.say(await at.accept(at_s=number + 1))
        before = await written(side, at)
        with pytest.raises(FrameInvalid):
            await at.say(await at.accept(at_s=MAX_ENTRIES + 1))
        assert await written(side, at) == before
        assert before.count(EntryType.ACCEPT) == MAX_ENTRIES
        assert before.count(EntryType.REJECT) < MAX_ENTRIES, "not every Accept is worth an entry of ours"


async def test_what_breaks_the_rules_takes_nothing_from_the_answer_before_it() -> None:
    async with shop() as side, shop(2) as client:
        at = await at_counter(client, side)
        stop_selling(side)
        foreign = await client.entry(Confirm(side.key, 0), at.offer.digest, at.letter, at.offer, request_id=at.id)
        said = await at.say(await at.accept(), foreign)
        assert [type(item.message) for item in said] == [Reject]
        assert side.told("message_refused")[0].data["code"] == "malformed"


async def test_a_control_message_before_there_is_a_delivery_is_told_and_changes_nothing() -> None:
    async with shop() as side, shop(2) as client:
        at = await at_counter(client, side)
        assert await at.say(Plain(Alive(1, 0))) == []
        assert side.told("message_refused")[0].data["message"] == "Alive"
        [confirm] = await at.say(await at.accept())
        assert isinstance(confirm.message, Confirm)


async def test_an_offer_taken_back_is_not_confirmed() -> None:
    async with shop() as side, shop(2) as client:
        at = await at_counter(client, side)
        at.selling.withdraw(Reason.SHUTDOWN)
        said = await at.say(await at.accept())
        assert [type(item.message) for item in said if not isinstance(item.message, Decline)] == [Reject]
        assert at.selling.delivering is None
        assert at.selling.is_over


async def test_an_offer_expires() -> None:
    async with shop() as side, shop(2) as client:
        at = await at_counter(client, side)
        assert isinstance(at.offer.message, Offer)
        side.watch.skip_ms(at.offer.message.ttl_ms)
        [reject] = await at.say(await at.accept())
        assert isinstance(reject.message, Reject)
        assert reject.message.reason is Reason.OFFER_EXPIRED


async def test_a_client_that_voids_its_accept_before_it_is_heard_gets_no_delivery() -> None:
    async with shop() as side, shop(2) as client:
        at = await at_counter(client, side)
        void = await client.entry(
            Void(side.key, 0, Reason.WITHDRAWN), at.offer.digest, at.letter, at.offer, request_id=at.id
        )
        await at.say(void)
        said = await at.say(await at.accept())
        assert [type(item.message) for item in said] == [Reject]
        assert at.selling.delivering is None
