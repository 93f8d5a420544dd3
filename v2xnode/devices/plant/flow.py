"""How much flows through one path just now: the least of all that limits it, and where each milliwatt goes."""

from dataclasses import dataclass

from v2xnode.devices.plant.cable import Account, Cable
from v2xnode.devices.plant.quantity import PPM, share_mw
from v2xnode.devices.plant.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Flow:
    """Constant powers of one stretch of time. taken = provider loss + sent; sent = cable loss + received;
    received = client loss + delivered."""

    taken_mw: int = 0
    sent_mw: int = 0
    received_mw: int = 0
    delivered_mw: int = 0

    def book(self, account: Account, elapsed_ms: int, *, into_battery: bool) -> None:
        """Add the energies of a stretch to a cable's account."""
        account.taken += self.taken_mw * elapsed_ms
        account.sent += self.sent_mw * elapsed_ms
        account.received += self.received_mw * elapsed_ms
        account.lost_at_provider += (self.taken_mw - self.sent_mw) * elapsed_ms
        account.lost_on_cable += (self.sent_mw - self.received_mw) * elapsed_ms
        account.lost_at_client += (self.received_mw - self.delivered_mw) * elapsed_ms
        if into_battery:
            account.stored += self.delivered_mw * elapsed_ms
        else:
            account.used += self.delivered_mw * elapsed_ms


NO_FLOW = Flow()


def solve(cable: Cable, provider: Terminal, client: Terminal, *, give_mw: int, take_mw: int, volt_mv: int) -> Flow:
    """The flow when the provider's battery gives at most `give_mw` and what is behind the client takes `take_mw`.

    Every limit holds with all losses counted: what is sent never exceeds the provider's, what is received never the
    client's.
    """
    most_sent = min(_terminal_mw(provider, volt_mv), _less_loss(provider, give_mw))
    most_received = min(_terminal_mw(client, volt_mv), take_mw + _loss_mw(client, take_mw))
    received = max(0, min(most_received, most_sent - cable.loss_mw(max(0, most_sent), volt_mv)))
    sent = received + cable.loss_mw(received, volt_mv)
    if sent > max(0, most_sent):
        return NO_FLOW
    delivered = min(take_mw, max(0, _less_loss(client, received)))
    return Flow(sent + _loss_mw(provider, sent), sent, received, delivered)


def wanted_mw(cable: Cable, client: Terminal, take_mw: int, volt_mv: int) -> int:
    """What would be sent if nothing on the provider's side limited it: a load that does not curtail asks for this."""
    received = take_mw + _loss_mw(client, take_mw)
    return received + cable.loss_mw(received, volt_mv)


def _terminal_mw(terminal: Terminal, voltage_mv: int) -> int:
    return min(terminal.allowed_w * 1000, terminal.spec.max_current_ma * voltage_mv // 1000)


def _loss_mw(terminal: Terminal, power_mw: int) -> int:
    return terminal.spec.standby_w * 1000 + share_mw(power_mw, terminal.spec.loss_ppm)


def _less_loss(terminal: Terminal, power_mw: int) -> int:
    """The most at one side of a converter that, its own loss added, is no more than `power_mw` at the other."""
    return (power_mw - terminal.spec.standby_w * 1000) * PPM // (PPM + terminal.spec.loss_ppm)
