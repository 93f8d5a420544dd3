"""Whether py-libp2p is here."""

import importlib

MISSING: str | None = None
"""Why not."""

try:
    importlib.import_module("transports.libp2p.library")
except ImportError as problem:
    MISSING = str(problem)
