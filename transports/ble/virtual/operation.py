"""Operations of bumble's host, made safe to cancel."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from bumble.transport.common import TransportLostError

T = TypeVar("T")


async def operation(awaited: Awaitable[T]) -> T:
    """Its result, or its error.

    They rest on `asyncio.wait_for`, which in Python 3.11 swallows a cancellation that comes together with the answer:
    here whoever is cancelled is cancelled. bumble cancels operations when the air is gone: that is TransportLostError.
    """
    task = asyncio.ensure_future(awaited)
    try:
        await asyncio.wait({task})
        if task.cancelled():
            raise TransportLostError("the virtual air is gone")
        return task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
