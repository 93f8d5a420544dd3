"""The QR code of a receipt: of the kind that holds capital letters and digits, large enough for a phone."""

from typing import Final

import segno

MAX_VERSION: Final = 25
"""117 modules a side: each has 0.44 mm at 52 mm, which a phone still reads from paper."""


def qr_of(code: str) -> segno.QRCode:
    """With 15 % of it to lose where MAX_VERSION allows that, else 7 %. The code of a bill of many lines is larger."""
    for level in ("m", "l"):
        made = segno.make_qr(code, error=level, boost_error=False)
        if isinstance(made.version, int) and made.version <= MAX_VERSION:
            return made
    return segno.make_qr(code, error="l", boost_error=False)
