"""Makes the running delivery of an agreement, for each role: machine, power path and channel put together."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from market.delivery import Agreement, ClientDelivery, ProviderDelivery, Written
from market.negotiation import Confirmed
from market.terms import Close, Connector, Electrical, Profile, Request
from market.units import Role
from v2xnode.clock import Clock
from v2xnode.envelope import MAX_SAID, Link, Talk
from v2xnode.errors import LocalError
from v2xnode.events import EventLog
from v2xnode.identity import Identity
from v2xnode.links import DialledLink, RawItems
from v2xnode.metering import PowerPath
from v2xnode.paths import Connectors, limits_of
from v2xnode.power.events import CHADEMO_WELD_LIMIT_MV, WELD_LIMIT_MV, Begin
from v2xnode.trading.books import Books
from v2xnode.trading.client_channel import ClientChannel
from v2xnode.trading.delivering import Delivering
from v2xnode.trading.inbox import Arrived, Heard
from v2xnode.trading.need import NONCE_BYTES
from v2xnode.trading.need import Agreement as Agreed
from v2xnode.trading.provider_channel import ProviderChannel
from v2xnode.trading.remains import Remains
from v2xnode.trading.selling import Selling
from v2xnode.trading.walk import Walk, fresh_pattern

Met = Callable[[bytes, bytes], Awaitable[None]]
"""Told (peer, resolving key) when a peer gives its key."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What every delivery of this node is made from."""

    identity: Identity
    electrical: Electrical
    connectors: Connectors
    books: Books
    clock: Clock
    events: EventLog
    met: Met

    def for_provider(self, selling: Selling, confirmed: Confirmed) -> Delivering:
        """The delivery of a request that we confirmed."""
        offer, now_ms = confirmed.offer, self.clock.monotonic_ms()
        agreement = Agreement.of(
            selling.request,
            offer,
            peer=selling.peer,
            answers=confirmed.accept,
            confirmed_ms=now_ms,
            confirmed_at_ms=self.clock.wall_ms(),
        )
        channel = ProviderChannel(selling.link)
        machine = ProviderDelivery(agreement, now_ms=now_ms)
        electrical = selling.link.hello.electrical
        return self._put_together(Role.PROVIDER, selling.request, agreement, machine, channel, electrical, selling.talk)

    def provider_again(self, left: Remains) -> tuple[Delivering, Sequence[object]]:
        """The delivery of a sale from before a restart, and what it begins with."""
        now_ms = self.clock.monotonic_ms()
        agreement = left.agreement(now_ms, self.clock.wall_ms())
        machine = ProviderDelivery(agreement, now_ms=now_ms, account=left.stands.account)
        channel = ProviderChannel(None)
        return self._again(left, agreement, machine, channel), left.first

    def for_client(self, agreed: Agreed) -> tuple[Delivering, ClientChannel]:
        """The delivery of an agreement that a provider confirmed."""
        asked, now_ms = agreed.asked, self.clock.monotonic_ms()
        agreement = Agreement.of(
            asked.request,
            agreed.offer,
            peer=asked.link.peer,
            answers=agreed.confirm,
            confirmed_ms=now_ms,
            confirmed_at_ms=self.clock.wall_ms(),
        )
        machine = ClientDelivery(agreement, self._nonce, now_ms=now_ms)
        channel, listen = self._client_channel(asked.link)
        electrical = asked.link.hello.electrical
        delivering = self._put_together(Role.CLIENT, asked.request, agreement, machine, channel, electrical, asked.talk)
        listen(delivering)
        return delivering, channel

    def client_again(self, left: Remains) -> tuple[Delivering, ClientChannel]:
        """The delivery of a purchase from before a restart."""
        now_ms = self.clock.monotonic_ms()
        agreement = left.agreement(now_ms, self.clock.wall_ms())
        machine = ClientDelivery(agreement, self._nonce, now_ms=now_ms, account=left.stands.account)
        channel, listen = self._client_channel(None)
        delivering = self._again(left, agreement, machine, channel)
        listen(delivering)
        return delivering, channel

    def _nonce(self) -> bytes:
        return self.identity.entropy(NONCE_BYTES)

    def _client_channel(self, link: DialledLink | None) -> tuple[ClientChannel, Callable[[Delivering], None]]:
        """A channel, and how to name the delivery that it tells of what it hears."""
        made: list[Delivering] = []

        def hear(items: RawItems) -> None:
            made[0].post(Heard(items))

        def arrived(entries: Sequence[Link]) -> None:
            """A Close of ours waits for the provider's: it has not done its work by arriving."""
            digests = tuple(entry.digest for entry in entries if not isinstance(entry.message, Close))
            if digests:
                made[0].post(Arrived(digests))

        def lost() -> None:
            made[0].lost()

        return ClientChannel(link, self.events, hear, arrived, lost), made.append

    def _again(
        self,
        left: Remains,
        agreement: Agreement,
        machine: ProviderDelivery | ClientDelivery,
        channel: ProviderChannel | ClientChannel,
    ) -> Delivering:
        """As for a new one, with what is left to say. Who the peer's devices are does not matter on the way down."""
        talk = Talk(deque(left.said[::-1][:MAX_SAID], MAX_SAID))
        delivering = self._put_together(left.role, left.request, agreement, machine, channel, self.electrical, talk)
        delivering.walk.recovers = True
        delivering.counts = left.stands.written is Written.NOTHING
        for item in left.to_say:
            channel.send(item)
        return delivering

    def _put_together(
        self,
        role: Role,
        request: Request,
        agreement: Agreement,
        machine: ProviderDelivery | ClientDelivery,
        channel: ProviderChannel | ClientChannel,
        peer_electrical: Electrical,
        talk: Talk,
    ) -> Delivering:
        profile = agreement.offer.profile
        connector = self.connectors.find(profile, role)
        if connector is None:
            raise LocalError(f"This node has no connector for {profile.name} as {role.name.lower()}.", code="no_path")
        delivering = Delivering(
            role=role,
            request_id=request.request_id,
            peer=agreement.peer,
            agreement=agreement,
            service=request.service,
            began_at_ms=self.clock.wall_ms(),
            machine=machine,
            channel=channel,
            context=lambda: channel.link.context(self.identity.public, request.request_id, talk.said),
            talk=talk,
            books=self.books,
            clock=self.clock,
            events=self.events,
            met=self.met,
        )
        path = PowerPath(connector.devices, self.clock, delivering.post)
        begin = self._begin(profile, role, peer_electrical)
        entropy = self.identity.entropy
        delivering.walk = Walk(request.request_id, path, begin, agreement.power_max_w, self.events, entropy)
        return delivering

    def _begin(self, profile: Profile, role: Role, peer: Electrical) -> Begin:
        chademo = set(self.electrical.connectors) & set(peer.connectors) == {Connector.CHADEMO}
        return Begin(
            profile=profile,
            role=role,
            own=limits_of(self.electrical),
            peer=limits_of(peer),
            pattern=fresh_pattern(self.identity.entropy) if profile.master is role else None,
            weld_limit_mv=CHADEMO_WELD_LIMIT_MV if chademo else WELD_LIMIT_MV,
        )
