"""What a person or program is told when the node can't do what was asked: a code, a sentence, an exit code."""

from typing import Any, ClassVar


class NodeError(Exception):
    """Base of every error that `v2xnode` itself raises. `code` is for machines, `sentence` for people."""

    code: str = "node"
    exit_code: ClassVar[int] = 1

    def __init__(self, sentence: str, *, code: str = "", **details: Any) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code or self.code
        self.details = details

    def as_json(self) -> dict[str, Any]:
        """The error as one JSON object: code, sentence, and what belongs to it."""
        return {"code": self.code, "sentence": self.sentence, **self.details}


class LocalError(NodeError):
    """This machine, its configuration or its caller is at fault."""

    code = "local"


class UsageError(LocalError):
    """The caller's words or values are off; nothing has changed."""

    code = "usage"
    exit_code = 2


class ConfigError(UsageError):
    """The configuration can't be used; the sentence names the place and the mend."""

    code = "config"


class Unreachable(NodeError):
    """The peer, or the node that should be running, could not be reached."""

    code = "unreachable"
    exit_code = 3


class RefusedByLimit(NodeError):
    """An owner's limit, ours or the peer's, refused. `would_pass` says what would pass, where that is known."""

    code = "refused"
    exit_code = 4


class LedgerInvalid(NodeError):
    """The ledger does not verify; the sentence names the first bad row."""

    code = "ledger_invalid"
    exit_code = 5


class TimedOut(NodeError):
    """Nothing happened in the time allowed."""

    code = "timed_out"
    exit_code = 6


class PeerError(NodeError):
    """The peer broke the protocol; the session with it ends, nothing else does."""

    code = "peer"
