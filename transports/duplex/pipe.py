"""What a bearer has to bring, to be used through this package."""

from typing import Protocol


class Pipe(Protocol):
    """Whole messages between two processes, in order, both ways, until it is lost; of at most `MAX_MESSAGE_BYTES`."""

    @property
    def source(self) -> str:
        """Who is at the other end, as the bearer sees it."""
        ...

    async def send(self, message: bytes) -> None:
        """Hand one message over; waits for as long as the bearer has no room. One call at a time.

        Raises LinkLost. Cancelling may lose this message, or the pipe, but never cuts a message in two.
        """
        ...

    async def receive(self) -> bytes:
        """The next message. One call at a time. Raises LinkLost once the pipe is gone."""
        ...

    async def aclose(self) -> None:
        """Let it go; idempotent. A waiting `receive` then raises LinkLost."""
        ...
