"""Errors out of task groups."""

from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def errors_as_they_are() -> Generator[None, None, None]:
    """Around a task group: a single error passes as it is, not in a group of one."""
    try:
        yield
    except BaseExceptionGroup as several:
        if len(several.exceptions) == 1:
            raise several.exceptions[0] from None
        raise
