"""Programs in JavaScript with packages that others wrote, for tests: installed once for each lock file."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

BUILD = Path(__file__).parents[2] / "build"
"""Kept from run to run: an installation takes some seconds and the network."""
INSTALL_S = 100


def unavailable(what: str, why: str) -> None:
    """Skip aloud, or fail on CI, where nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(f"on CI {what} has to run, but {why}")
    pytest.skip(f"{what} did not run: {why}")


def node_here(what: str) -> None:
    """Whether JavaScript runs here at all."""
    if shutil.which("node") is None:
        unavailable(what, "node is not here")


def installed(source: Path, name: str, what: str) -> Path:
    """A copy of `source` under `build/`, with its packages beside it as its lock file says."""
    node_here(what)
    if shutil.which("npm") is None:
        unavailable(what, "npm is not here")
    built = BUILD / name
    lock, mark = (source / "package-lock.json").read_bytes(), built / "installed.json"
    if not mark.exists() or mark.read_bytes() != lock:
        shutil.rmtree(built, ignore_errors=True)
        shutil.copytree(source, built)
        _install(built, what)
        mark.write_bytes(lock)
    shutil.copytree(source, built, dirs_exist_ok=True)
    return built


def _install(built: Path, what: str) -> None:
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(command, cwd=built, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    except subprocess.TimeoutExpired:
        unavailable(what, "npm ci takes too long")
    else:
        if done.returncode:
            unavailable(what, f"npm ci failed: {done.stderr[-300:]}")
