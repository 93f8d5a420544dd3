"""What can go wrong on the way to a peer. Foreign exceptions are translated to these once, inside each bearer."""


class TransportError(Exception):
    """Base of every error that this package raises."""

    code = "transport"


class LocalTransportError(TransportError):
    """Our own side can't do it: no radio, port taken, no route, a frame that we may not send."""

    code = "transport_local"


class FrameTooLarge(LocalTransportError):
    """The caller gave a frame above `MAX_FRAME_BYTES`."""

    code = "frame_too_large"


class RemoteTransportError(TransportError):
    """The other side broke the rules of the bearer or of the secure link."""

    code = "transport_remote"


class LinkLost(RemoteTransportError):
    """The peer can't be reached on this link any more, or did not answer in time. One exception for every bearer."""

    code = "link_lost"
