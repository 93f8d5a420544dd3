"""Private channels to peers that have greeted us, over any bearer.

The dialer of a link is the client of energy: it asks, the acceptor answers and pushes. What crosses a link here are
frames of `envelope`; what they mean is decided above. A peer counts as greeted once its Hello was read: a common
version, the same currency is not demanded yet (the market declines), the epoch of its chain known.
"""

from v2xnode.links.ends import AcceptedLink, DialledLink, PeerLink, Traffic
from v2xnode.links.greeting import Greeting, RawItems, check_versions, held_in
from v2xnode.links.switchboard import ANSWERS_KEPT, Links

__all__ = [
    "ANSWERS_KEPT",
    "AcceptedLink",
    "DialledLink",
    "Greeting",
    "Links",
    "PeerLink",
    "RawItems",
    "Traffic",
    "check_versions",
    "held_in",
]
