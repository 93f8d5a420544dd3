"""One process of the demonstration."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

STOP_S = 8.0
"""Real time for a process to leave: a node powers off and settles first. Then it is killed."""

Process = asyncio.subprocess.Process


@asynccontextmanager
async def ended(process: Process) -> AsyncIterator[None]:
    """On leaving the process is ended, if it has not ended by itself."""
    try:
        yield
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
