"""Commands as a person types them: the installed program run to its end, or left running for a while."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

PROJECT = Path(__file__).parents[2]
COMMAND_S = 100.0
"""Real time for one command on a busy machine; less than a test has, so that the command is named."""
READY_S = 30.0
"""Real time until a process that stays is ready."""
LEAVE_S = 15.0
"""Real time for a process to leave after SIGTERM; then it is killed."""
LOOK_S = 0.05
PORTS = range(20_000, 32_768)
"""Below those that Linux gives out by itself."""


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without settings of nodes, with the program on the path, and with changes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("V2XNODE_")}
    programs = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PATH": programs, "PYTHONPATH": str(PROJECT), **changes}


def free_port() -> int:
    """A UDP port that nobody uses now, and that the kernel gives to nobody who asks for any: a node that is started
    again finds it free, whatever other tests run beside."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def ran(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout_s: float = COMMAND_S,
) -> subprocess.CompletedProcess[str]:
    """A command that has ended, whatever its exit code. In a session of its own, so that one that takes too long ends
    with all that it started."""
    words, where, pipe = [str(each) for each in command], dict(env or environment()), subprocess.PIPE
    with subprocess.Popen(
        words, env=where, cwd=cwd, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as process:
        try:
            out, err = process.communicate(timeout=timeout_s)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def succeeded(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """What a command printed on stdout; fails with all it said where it did not exit 0."""
    done = ran(command, env=env, cwd=cwd)
    assert done.returncode == 0, f"{list(command)} exited {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@contextmanager
def staying(command: Sequence[str | Path], log: Path, *, env: Mapping[str, str] | None = None) -> Iterator[None]:
    """A process that stays until the context ends; what it says goes to `log`, and is shown when the test fails."""
    with log.open("w") as out:
        process = subprocess.Popen(
            [str(each) for each in command], env=dict(env or environment()), stdout=out, stderr=out
        )
        try:
            yield
        except BaseException:
            print(f"--- {log.name}\n{log.read_text()}")
            raise
        finally:
            process.terminate()
            try:
                process.wait(LEAVE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def until(holds: Callable[[], bool], what: str, deadline_s: float = READY_S) -> None:
    """Wait until something holds; fails with `what` where it does not in time."""
    end_s = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < end_s, f"{what} did not happen within {deadline_s:.0f} s"
        time.sleep(LOOK_S)
