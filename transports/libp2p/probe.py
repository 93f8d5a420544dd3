"""What stands in libp2p's way on this machine, in sentences for the person who has to remove it."""

from importlib import import_module

from transports.finding import Finding

REMEDY = (
    "install v2xnode[libp2p]; where no wheel fits this machine it is built, which needs a C compiler, the headers of "
    "Python and those of GMP (on Debian: gcc python3-dev libgmp-dev)"
)


def probe() -> list[Finding]:
    """Whether the libraries load, which takes some seconds; never raises for what it finds."""
    try:
        import_module("transports.libp2p.library")
    except ImportError as problem:
        return [Finding("library", False, f"py-libp2p does not load ({problem})", REMEDY)]
    return [Finding("library", True, "py-libp2p and trio load")]
