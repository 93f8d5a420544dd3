"""One connection to the system's D-Bus, on which we speak with bluetoothd and with nobody else.

Whatever goes wrong on it is an Obstacle: dbus-fast's exceptions end here.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

from dbus_fast import BusType, Message, MessageFlag, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, DBusFastError
from dbus_fast.unpack import unpack_variants

from transports.ble.bluez.adapters import Objects
from transports.ble.bluez.names import (
    ACCESS_DENIED,
    BLUEZ,
    DAEMON,
    DAEMON_PATH,
    NOBODY,
    OBJECT_MANAGER,
    PROPERTIES,
)
from transports.ble.bluez.obstacles import Obstacle, no_bluetoothd, no_dbus, no_permission, refused

CALL_MS = 5_000
"""How long bluetoothd may think. It answers within milliseconds, but for a controller that hangs."""

Answered = Callable[[Message], bool]


class Refused(Obstacle):
    """bluetoothd said no; `error` is the error's name on D-Bus."""

    def __init__(self, member: str, error: str, sentence: str) -> None:
        told = refused(member, error, sentence)
        super().__init__(told.code, told.sentence, told.remedy)
        self.error = error


class Bus:
    """A connection. `ended` is set once bluetoothd or the bus went away: then it is of no use any more."""

    def __init__(self, connection: MessageBus) -> None:
        self._connection = connection
        self._owner = ""
        self._asked: Answered = lambda _: False
        self._signalled: Callable[[Message], None] = lambda _: None
        self._watching = asyncio.create_task(self._watch())
        self._on_the_way: set[socket.socket] = set()
        self.ended = asyncio.Event()

    @classmethod
    async def connect(cls, *, wake: bool) -> "Bus":
        """Reach the bus and bluetoothd on it. wake: let D-Bus start it. Raises Obstacle; leaves nothing open then."""
        bus = cls(await _connected())
        try:
            await bus._find(wake)
        except BaseException:
            await bus.aclose()
            raise
        return bus

    def attend(self, asked: Answered, signalled: Callable[[Message], None]) -> None:
        """Hear bluetoothd from now on. asked: takes its method calls, and tells whether it knew the method."""
        self._asked, self._signalled = asked, signalled

    async def objects(self) -> Objects:
        """All that BlueZ shows. Raises Obstacle."""
        body = await self.call("/", OBJECT_MANAGER, "GetManagedObjects")
        objects: Objects = unpack_variants(body[0])
        return objects

    async def call(
        self, path: str, interface: str, member: str, signature: str = "", body: list[Any] | None = None
    ) -> list[Any]:
        """Ask bluetoothd. Raises Obstacle, which is Refused when it answered with an error."""
        return await self._call(BLUEZ, path, interface, member, signature, body or [])

    def reply(self, asked: Message, signature: str = "", body: list[Any] | None = None) -> None:
        """Answer a method call."""
        self._reply(asked, Message.new_method_return(asked, signature, body or []))

    def reply_with_socket(self, asked: Message, end: socket.socket, mtu: int) -> None:
        """Answer an Acquire call with this end, which is bluetoothd's from now on: ours is closed."""
        sent = self._reply(asked, Message.new_method_return(asked, "hq", [0, mtu], [end.fileno()]))
        if sent is None or sent.done():
            end.close()
            return
        self._on_the_way.add(end)
        sent.add_done_callback(lambda _: self._arrived(end))

    def refuse(self, asked: Message, error: str, sentence: str) -> None:
        """Answer a method call with an error."""
        self._reply(asked, Message.new_error(asked, error, sentence))

    async def aclose(self) -> None:
        """Leave the bus: bluetoothd then forgets whatever this connection registered. Idempotent."""
        self.ended.set()
        self._connection.disconnect()
        await asyncio.wait({self._watching})
        for end in list(self._on_the_way):
            self._arrived(end)

    async def _find(self, wake: bool) -> None:
        self._connection.add_message_handler(self._heard)
        for rule in (
            f"type='signal',sender='{DAEMON}',member='NameOwnerChanged',arg0='{BLUEZ}'",
            f"type='signal',sender='{BLUEZ}',interface='{OBJECT_MANAGER}',member='InterfacesRemoved'",
            f"type='signal',sender='{BLUEZ}',interface='{OBJECT_MANAGER}',member='InterfacesAdded'",
            f"type='signal',sender='{BLUEZ}',interface='{PROPERTIES}',member='PropertiesChanged',arg0='org.bluez.Device1'",
        ):
            await self._call(DAEMON, DAEMON_PATH, DAEMON, "AddMatch", "s", [rule])
        if wake:
            with contextlib.suppress(Refused):  # not startable, or running already: the next line tells
                await self._call(DAEMON, DAEMON_PATH, DAEMON, "StartServiceByName", "su", [BLUEZ, 0])
        try:
            (self._owner,) = await self._call(DAEMON, DAEMON_PATH, DAEMON, "GetNameOwner", "s", [BLUEZ])
        except Refused:
            raise no_bluetoothd() from None

    async def _watch(self) -> None:
        with contextlib.suppress(Exception):  # that which broke the connection, if one did
            await self._connection.wait_for_disconnect()  # type: ignore[no-untyped-call]
        self.ended.set()

    async def _call(
        self, destination: str, path: str, interface: str, member: str, signature: str, body: list[Any]
    ) -> list[Any]:
        message = Message(
            destination, path, interface, member, signature=signature, body=body, flags=MessageFlag.NO_AUTOSTART
        )
        if not self._connection.connected:
            raise no_bluetoothd()
        try:
            async with asyncio.timeout(CALL_MS / 1000):
                reply = await self._connection.call(message)
        except TimeoutError:
            raise Refused(member, "no answer", f"within {CALL_MS} ms") from None
        except (OSError, EOFError, DBusFastError) as error:
            self.ended.set()
            raise no_dbus(str(error) or type(error).__name__) from error
        if reply is None:  # the bus was left meanwhile
            raise no_bluetoothd()
        if reply.message_type is MessageType.ERROR:
            raise _told(member, reply)
        return list(reply.body)

    def _reply(self, asked: Message, reply: Message) -> "asyncio.Future[Any] | None":
        """Done once it was handed to the kernel. None: nobody waits for it, or nobody is there any more."""
        if asked.flags & MessageFlag.NO_REPLY_EXPECTED or not self._connection.connected:
            return None
        sent = self._connection.send(reply)
        sent.add_done_callback(_seen)
        return sent

    def _arrived(self, end: socket.socket) -> None:
        self._on_the_way.discard(end)
        end.close()

    def _heard(self, message: Message) -> bool:
        """Whether it is dealt with. Others on the bus may call us where its policy lets them: they hear a refusal."""
        if message.message_type is MessageType.SIGNAL:
            self._hear_signal(message)
            return False
        if message.message_type is not MessageType.METHOD_CALL:
            return False
        if message.sender != self._owner:
            self.refuse(message, ACCESS_DENIED, "only bluetoothd is served here")
            return True
        return self._asked(message)

    def _hear_signal(self, message: Message) -> None:
        if message.sender == DAEMON and message.member == "NameOwnerChanged" and message.signature == "sss":
            name, old, _new = message.body
            if name == BLUEZ and old and old == self._owner:
                self.ended.set()
        elif message.sender == self._owner:
            self._signalled(message)


async def _connected() -> MessageBus:
    connection = None
    try:
        async with asyncio.timeout(CALL_MS / 1000):
            connection = MessageBus(bus_type=BusType.SYSTEM, negotiate_unix_fd=True)
            return await connection.connect()
    except PermissionError:
        raise no_permission("reach the bus") from None
    except AuthError as error:
        if "REJECTED" in str(error):
            raise no_permission("reach the bus") from error
        raise no_dbus(str(error)) from error
    except TimeoutError:
        raise no_dbus(f"it does not answer within {CALL_MS} ms") from None
    except (OSError, EOFError, DBusFastError, ValueError) as error:
        raise no_dbus(getattr(error, "strerror", None) or str(error) or type(error).__name__) from error


def _told(member: str, reply: Message) -> Obstacle:
    error = reply.error_name or ""
    sentence = str(reply.body[0]) if reply.body else ""
    if error == ACCESS_DENIED:
        return no_permission("speak with bluetoothd")
    if error in NOBODY and reply.sender == DAEMON and member not in ("GetNameOwner", "StartServiceByName"):
        return no_bluetoothd()
    return Refused(member, error, sentence)


def _seen(future: "asyncio.Future[Any]") -> None:
    """A reply that could not be sent: the connection's end tells it to us in its own way."""
    if not future.cancelled():
        future.exception()
