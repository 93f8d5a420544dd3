"""A revocation key, shown once to be written on paper."""

import io
import sys

from v2xnode.cli.output import Output
from v2xnode.revocation_key import RevocationKey


def print_revocation_key(output: Output, key: RevocationKey) -> None:
    """Once, for paper: as text, and on a terminal as a QR code too."""
    output.say(f"\n  {key.text}\n")
    if sys.stdout.isatty():
        output.say(_code(key))
    output.say("Write it on paper, and keep that away from this machine. Whoever has it can take this node's signing")
    output.say("key away and name another; without it a stolen key can't be revoked. It is kept nowhere else.")


def _code(key: RevocationKey) -> str:
    import segno

    drawn = io.StringIO()
    segno.make(key.letters, error="m").terminal(out=drawn, compact=True)
    return drawn.getvalue()
