"""What lies between the controllers of one air: who hears whom, how late, and whose link breaks.

bumble's `LocalLink` carries everything at once to everybody; this one can cut a node off, break a link as a real radio
does (supervision time-out), take half a connection interval for each packet, and is exact where several centrals call
one advertiser at the same moment.
"""

import asyncio
from collections.abc import Callable
from random import Random

from bumble import hci, ll
from bumble.controller import Connection, Controller
from bumble.core import PhysicalTransport
from bumble.link import LocalLink

SUPERVISION_MS = 300
"""How long a link outlives the radio of one end. Real ones take 0.5 to 6 s; nobody learns from waiting longer here."""


class AirController(Controller):
    """A controller of Bluetooth 4.2: legacy advertisements of 31 bytes, data packets of 251."""

    le_features = Controller.le_features & ~(
        hci.LeFeatureMask.LE_EXTENDED_ADVERTISING | hci.LeFeatureMask.LE_PERIODIC_ADVERTISING
    )
    le_acl_data_packet_length = 251

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """bumble's leaves the attempt pending for ever."""
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is not None:
            self._tell_failed(pending.peer_address, hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR)
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def create_le_connection(self, peer_address: hci.Address) -> None:
        """bumble's waits for ever where there is a link already."""
        if peer_address in self.le_connections:
            self.pending_le_connection = None
            self._tell_failed(peer_address, hci.HCI_ErrorCode.CONNECTION_ALREADY_EXISTS_ERROR)
        else:
            super().create_le_connection(peer_address)

    def _tell_failed(self, peer: hci.Address, status: hci.HCI_ErrorCode) -> None:
        self.send_hci_packet(
            hci.HCI_LE_Connection_Complete_Event(
                status=status,
                connection_handle=0,
                role=hci.Role.CENTRAL,
                peer_address_type=peer.address_type,
                peer_address=peer,
                connection_interval=0,
                peripheral_latency=0,
                supervision_timeout=0,
                central_clock_accuracy=0,
            )
        )

    def silence(self) -> None:
        """Its host is gone: advertise and look no more."""
        self.le_legacy_advertiser.stop()
        self.le_scan_enable = False
        self.pending_le_connection = None


class Ether(LocalLink):
    """latency_ms: how long each packet takes, half a connection interval."""

    def __init__(self, latency_ms: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._latency_s = latency_ms / 1000
        self._cut: set[str] = set()
        self.carried = 0
        """Data packets so far."""

    def cut(self, address: str) -> None:
        """From now on the node there hears nothing and is not heard; its links break after `SUPERVISION_MS`."""
        self._cut.add(address)
        asyncio.get_running_loop().call_later(SUPERVISION_MS / 1000, self._expire, address)

    def mend(self, address: str) -> None:
        """Undo `cut`."""
        self._cut.discard(address)

    def drop(self, address: str) -> int:
        """Break the links of the node there, at both ends at once; how many there were."""
        ours = [link for link in self.links() if address in _ends(link)]
        for link in ours:
            self.break_link(link)
        return len(ours)

    def drop_any(self, random: Random) -> int:
        """Break one link that chance picks; 0 when there is none."""
        links = sorted(self.links(), key=_ends)
        if links:
            self.break_link(random.choice(links))
        return min(1, len(links))

    def links(self) -> list[Connection]:
        """Each link once, as its central has it."""
        return [
            connection
            for controller in self.controllers
            for connection in controller.le_connections.values()
            if connection.role == hci.Role.CENTRAL
        ]

    def break_link(self, connection: Connection, reason: int = hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR) -> None:
        other = self._other(connection.self_address, connection.peer_address)
        for end in (connection, other):
            if end is not None and end.controller.le_connections.get(end.peer_address) is end:
                end.controller.on_le_disconnected(end, reason)

    def leave(self, controller: AirController) -> None:
        """Its host is gone."""
        controller.silence()
        for connection in list(controller.le_connections.values()):
            self.break_link(connection)
        self.remove_controller(controller)

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: hci.Address,
        transport: PhysicalTransport,
        data: bytes,
    ) -> None:
        source = sender_controller.random_address
        self.carried += 1

        def arrive() -> None:
            there = self._other(source, destination_address)
            if there is not None and not self._is_cut(source, destination_address):
                there.controller.on_link_acl_data(source, transport, data)

        self._later(arrive)

    def send_ll_control_pdu(
        self, sender_address: hci.Address, receiver_address: hci.Address, packet: ll.ControlPdu
    ) -> None:
        def arrive() -> None:
            there = self._other(sender_address, receiver_address)
            if there is not None and not self._is_cut(sender_address, receiver_address):
                there.controller.on_ll_control_pdu(sender_address, packet)

        self._later(arrive)

    def send_advertising_pdu(self, sender_controller: Controller, packet: ll.AdvertisingPdu) -> None:
        if str(sender_controller.random_address) in self._cut:
            return
        if isinstance(packet, ll.ConnectInd):
            asyncio.get_running_loop().call_soon(self._connect, sender_controller, packet)
            return
        for controller in self.controllers:
            if controller is not sender_controller and str(controller.random_address) not in self._cut:
                asyncio.get_running_loop().call_soon(controller.on_ll_advertising_pdu, packet)

    def _connect(self, central: Controller, packet: ll.ConnectInd) -> None:
        """The central believes in its link already, as in a real one: if the advertiser listened to somebody else
        first, or calls this very central itself, it learns that nobody answers."""
        for controller in self.controllers:
            if controller is not central and packet.initiator_address not in controller.le_connections:
                controller.on_ll_advertising_pdu(packet)
        mine = central.le_connections.get(packet.advertiser_address)
        theirs = self._other(packet.initiator_address, packet.advertiser_address)
        if mine is not None and (theirs is None or theirs.role != hci.Role.PERIPHERAL):
            central.on_le_disconnected(mine, hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR)

    def _other(self, here: hci.Address, there: hci.Address) -> Connection | None:
        """The far end of the link between two addresses."""
        for controller in self.controllers:
            connection: Connection | None = controller.le_connections.get(here)
            if connection is not None and connection.self_address == there:
                return connection
        return None

    def _is_cut(self, *addresses: hci.Address) -> bool:
        return any(str(address) in self._cut for address in addresses)

    def _later(self, arrive: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        if self._latency_s:
            loop.call_later(self._latency_s, arrive)
        else:
            loop.call_soon(arrive)

    def _expire(self, address: str) -> None:
        if address in self._cut:
            self.drop(address)


def _ends(connection: Connection) -> tuple[str, str]:
    return str(connection.self_address), str(connection.peer_address)
