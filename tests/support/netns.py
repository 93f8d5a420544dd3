"""Network namespaces: other machines on this one, as far as a socket can tell. Linux, as root.

A namespace lives as long as the process that holds it, and that one as long as ours: nothing stays behind, however a
test ends, and no name is taken that another run could want.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TUN = Path("/dev/net/tun")
_TOOLS = ("unshare", "nsenter", "ip")
_CLONE_NEWNET = 0x4000_0000
_NEW = ("unshare", "--net")


@dataclass(frozen=True, slots=True)
class Namespace:
    """One of them, held by the process `pid`."""

    pid: int

    @property
    def path(self) -> str:
        return f"/proc/{self.pid}/ns/net"

    def command(self, words: Sequence[str]) -> list[str]:
        """The command that runs `words` inside."""
        return ["nsenter", f"--net={self.path}", *words]

    def do(self, *commands: str) -> None:
        """Run commands inside, to their end. Fails with what they said."""
        for each in commands:
            done = subprocess.run(self.command(each.split()), capture_output=True, text=True)
            assert done.returncode == 0, f"{each}: {done.stderr}"


def obstacle() -> str | None:
    """Why this machine can't have a link between two namespaces; None where it can."""
    if sys.platform != "linux":
        return f"network namespaces are Linux's, and this is {sys.platform}"
    missing = [each for each in _TOOLS if shutil.which(each) is None]
    if missing:
        return f"{', '.join(missing)} of util-linux and iproute2 missing"
    if os.geteuid() != 0:
        return "a network namespace needs root"
    if not TUN.exists():
        return f"{TUN} is missing"
    done = subprocess.run([*_NEW, "true"], capture_output=True, text=True)
    return None if done.returncode == 0 else f"no network namespace can be made here: {done.stderr.strip()}"


@contextmanager
def namespace() -> Iterator[Namespace]:
    """A new one, with nothing but its own loopback."""
    words = [*_NEW, "sh", "-c", "ip link set lo up && echo ready && exec cat"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"ready\n"
            yield Namespace(holder.pid)
        finally:
            holder.kill()


@contextmanager
def entered(path: str) -> Iterator[None]:
    """This thread inside the namespace at `path`. Python has os.setns from 3.12 on only."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(file: int) -> None:
        if libc.setns(file, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)

    ours = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    theirs = os.open(path, os.O_RDONLY)
    try:
        enter(theirs)
        try:
            yield
        finally:
            enter(ours)
    finally:
        os.close(theirs)
        os.close(ours)
