"""pyipv8's TrustChain in a process and an environment of its own, for rounds that alternate with ours."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENT = HERE.parent / "build" / "trustchain"
VARIABLE = "V2XNODE_TRUSTCHAIN"
NO_TRUSTCHAIN = (
    "TrustChain is not here: python -m venv build/trustchain && build/trustchain/bin/pip install -r "
    f"benchmarks/requirements-trustchain.txt, or its Python in {VARIABLE}"
)


class TrustChain:
    """A running `benchmarks/trustchain.py`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def pairs(self, count: int) -> float:
        """So many pairs, a second of processor time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(count, file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())


@contextmanager
def trustchain_if_any() -> Iterator[TrustChain | None]:
    """None, said aloud, where it is not installed."""
    python = Path(os.environ.get(VARIABLE) or ENVIRONMENT / "bin" / "python")
    if not python.exists():
        print(NO_TRUSTCHAIN, flush=True)
        yield None
        return
    command = [python, HERE / "trustchain.py"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield TrustChain(process)
        assert process.stdin is not None
        process.stdin.close()
