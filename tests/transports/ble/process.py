"""Modules that run in processes of their own."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

START_S = 20


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A running module, and its first line."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *arguments, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    try:
        assert started.stdout is not None
        async with asyncio.timeout(START_S):
            line = (await started.stdout.readline()).decode().rstrip()
        yield started, line
    finally:
        if started.returncode is None:
            started.terminate()
        await started.communicate()
