"""How a command speaks: one JSON object on stdout with `--json`, sentences for people otherwise; errors on stderr."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from platformdirs import user_data_path

from ledger.errors import Corrupt, Damaged, LedgerError, NotDurable, StoreFailed, UnknownSchema, WrongOwner
from transports.errors import TransportError
from v2xnode.control import RemoteRefusal
from v2xnode.errors import LedgerInvalid, NodeError, UsageError

DataOption = Annotated[
    Path,
    typer.Option("--data", help="The node's data directory.", default_factory=lambda: user_data_path("v2xnode")),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, and nothing else there.")]


def make_directory(path: Path) -> None:
    """Make a directory that only its owner may enter, unless it is there. Raises UsageError where none can be."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as problem:
        sentence = f"{path} can't be made: {problem.strerror}. Name another directory."
        raise UsageError(sentence, code="no_directory") from None


class Output:
    """Where a command's words and its result go."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def say(self, sentence: str = "") -> None:
        """A sentence for people: on stdout, or on stderr where stdout belongs to the JSON."""
        print(sentence, file=sys.stderr if self._as_json else sys.stdout, flush=True)

    def result(self, value: dict[str, Any]) -> None:
        """The command's one result, printed only as JSON."""
        if self._as_json:
            print(json.dumps(value, indent=2), flush=True)

    def guarded(self, work: Callable[[], int | None]) -> NoReturn:
        """Run a command's work and leave with its exit code; a known failure is told with its code and sentence."""
        try:
            code = work() or 0
        except (NodeError, LedgerError, TransportError) as problem:
            code = self._tell(problem)
        except KeyboardInterrupt:
            code = 130
        raise typer.Exit(code)

    def _tell(self, problem: NodeError | LedgerError | TransportError) -> int:
        error: dict[str, Any] = {"code": problem.code, "sentence": str(problem)}
        if isinstance(problem, NodeError):
            error = problem.as_json()
        code = _exit_code(problem)
        print(f"{error['sentence']} [{error['code']}]", file=sys.stderr, flush=True)
        self.result({"error": error})
        return code


def _exit_code(problem: NodeError | LedgerError | TransportError) -> int:
    match problem:
        case RemoteRefusal():
            return problem.remote_exit_code
        case NodeError():
            return problem.exit_code
        case Corrupt() | Damaged():
            return LedgerInvalid.exit_code
        case StoreFailed() | NotDurable() | UnknownSchema() | WrongOwner():
            return UsageError.exit_code
    return 1
