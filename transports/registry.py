"""Which bearers are installed. A bearer is an entry point of the group `v2xnode.transports`: its name in the
configuration, and a factory that makes a `Transport`. Nothing is imported before it is asked for: a radio's library
stays out of a node that has no radio."""

from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points

from transports.errors import LocalTransportError
from transports.interface import Transport

GROUP = "v2xnode.transports"

TransportFactory = Callable[..., Transport]
"""Its arguments are the bearer's own settings."""


class UnknownBearer(LocalTransportError):
    """No installed package offers a bearer of that name."""

    code = "unknown_bearer"


class BearerUnavailable(LocalTransportError):
    """The bearer is known, but a library that it needs is not installed or does not load."""

    code = "bearer_unavailable"


class Registry:
    """The bearers by name. `found` takes the place of the installed entry points."""

    def __init__(self, found: Iterable[EntryPoint] | None = None) -> None:
        points = entry_points(group=GROUP) if found is None else found
        self._points = {point.name: point for point in points}

    @property
    def names(self) -> tuple[str, ...]:
        """What may be configured, sorted; whether it loads is only known by `factory`."""
        return tuple(sorted(self._points))

    def factory(self, name: str) -> TransportFactory:
        """The factory of a bearer, imported now. Raises UnknownBearer, BearerUnavailable."""
        point = self._points.get(name)
        if point is None:
            known = ", ".join(self.names) or "none"
            raise UnknownBearer(f"there is no bearer {name!r}; installed are: {known}")
        try:
            factory: TransportFactory = point.load()
        except (ImportError, AttributeError) as error:
            raise BearerUnavailable(
                f"the bearer {name!r} can't be loaded ({error}): install it with its extra, v2xnode[{name}]"
            ) from error
        return factory
