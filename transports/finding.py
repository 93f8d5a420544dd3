"""What a bearer finds when it looks at what it needs on this machine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at, for the person who has to mend it.

    code: a word that each bearer defines. ok: it does not stand in the way. remedy: what to do about it where it does,
    or what would be better.
    """

    code: str
    ok: bool
    sentence: str
    remedy: str | None = None
