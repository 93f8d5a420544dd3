"""What a caller of the interlock can do wrong. Faults of the power path are outputs, never exceptions."""

from v2xnode.errors import LocalError


class InterlockError(LocalError):
    """Base; nothing has changed."""

    code = "interlock"


class NotNow(InterlockError):
    """This event is not legal in this phase."""

    code = "not_now"


class WrongDirection(InterlockError):
    """Power was allowed the other way than this side's."""

    code = "wrong_direction"


class PatternMissing(InterlockError):
    """The master needs a pattern, and the follower must not have one."""

    code = "pattern_missing"
