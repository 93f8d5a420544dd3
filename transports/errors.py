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


class LinkExhausted(LocalTransportError):
    """A secure link carried as many records as one pair of keys may: dial again for fresh keys."""

    code = "link_exhausted"


class OwnIdentity(LocalTransportError):
    """The peer of a handshake is ourselves: an echo, a copied key, or our own address dialled."""

    code = "own_identity"


class HandshakeRefused(RemoteTransportError):
    """The other side's handshake message is not for us, not genuine, or not from whom it should be."""

    code = "handshake_refused"


class BadKey(HandshakeRefused):
    """A public key that no honest node has: wrong length, not canonical, of small order, or off the curve."""

    code = "bad_key"


class Replay(RemoteTransportError):
    """A record that was opened before, or that is too old to tell."""

    code = "replay"


class Forged(RemoteTransportError):
    """Bytes that the peer of this link never sealed."""

    code = "forged"


class Malformed(Forged):
    """Bytes that no implementation of the protocol writes, whoever sent them."""

    code = "malformed"
