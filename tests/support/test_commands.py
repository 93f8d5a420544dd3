import subprocess
from pathlib import Path

import pytest

from tests.support.commands import ran, until


def ended(process: int) -> bool:
    """It has gone, or only its parent has not looked yet."""
    try:
        return " Z " in Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_command_that_takes_too_long_ends_with_all_that_it_started() -> None:
    with pytest.raises(subprocess.TimeoutExpired) as late:
        ran(["sh", "-c", "sleep 600 & echo $!; wait"], timeout_s=2)
    started = int(late.value.stdout or 0)
    assert started > 0
    until(lambda: ended(started), "the end of what it started")
