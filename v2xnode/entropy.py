"""Where unpredictable bytes come from: the system, or a seeded source, so that a simulation can be repeated."""

from collections.abc import Callable

Entropy = Callable[[int], bytes]
"""That many unpredictable bytes: `os.urandom`, except in a simulation."""

_SPARE_BYTES = 8
"""Bytes drawn beyond what a number needs: what is left of bias is below 2^-64."""


def draw_below(entropy: Entropy, bound: int) -> int:
    """A number from 0 to bound-1, each as likely."""
    size = (bound.bit_length() + 7) // 8 + _SPARE_BYTES
    return int.from_bytes(entropy(size), "big") % bound
