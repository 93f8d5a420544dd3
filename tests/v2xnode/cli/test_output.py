"""A program reads one JSON object and an exit code; a person reads a sentence, on stderr when it went wrong."""

import json
from pathlib import Path

import pytest
import typer

from ledger.errors import Corrupt, Damaged, Full, StoreFailed, UnknownSchema
from tests.v2xnode.cli.calling import called, printed
from transports.errors import LinkLost
from v2xnode.cli.output import Output
from v2xnode.control import RemoteRefusal
from v2xnode.errors import LedgerInvalid, NodeError, TimedOut, UsageError

FAILING = [
    (("ledger", "verify"), 2, "no_ledger"),
    (("ledger", "show"), 2, "no_ledger"),
    (("config", "check"), 2, "config_missing"),
    (("run",), 2, "config_missing"),
    (("init", "--plant", "plant.sock", "--place", "moon"), 2, "unknown_place"),
    (("request", "--service", "V2V", "--energy-wh", "100"), 3, "not_running"),
    (("trades",), 3, "not_running"),
    (("stop",), 3, "not_running"),
    (("allow", "ab12"), 3, "not_running"),
]


@pytest.mark.parametrize(("words", "exit_code", "code"), FAILING)
def test_an_error_is_one_json_object_and_a_sentence_on_stderr(
    words: tuple[str, ...], exit_code: int, code: str, tmp_path: Path
) -> None:
    result = called(*words, "--data", tmp_path, "--json")
    assert result.exit_code == exit_code
    assert list(printed(result)) == ["error"]
    error = printed(result)["error"]
    assert error["code"] == code
    assert result.stderr == f"{error['sentence']} [{code}]\n"


@pytest.mark.parametrize(("words", "exit_code", "code"), FAILING)
def test_people_find_nothing_on_stdout_of_a_failed_command(
    words: tuple[str, ...], exit_code: int, code: str, tmp_path: Path
) -> None:
    result = called(*words, "--data", tmp_path)
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert result.stderr.endswith(f" [{code}]\n")


def left(problem: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """The exit code, stdout and stderr of a command that meets this problem."""

    def work() -> None:
        raise problem

    with pytest.raises(typer.Exit) as leaving:
        Output(True).guarded(work)
    out, err = capsys.readouterr()
    return leaving.value.exit_code, out, err


@pytest.mark.parametrize(
    ("problem", "exit_code", "code"),
    [
        (NodeError("It failed."), 1, "node"),
        (UsageError("Off."), 2, "usage"),
        (LedgerInvalid("Row 3."), 5, "ledger_invalid"),
        (TimedOut("Late."), 6, "timed_out"),
        (StoreFailed("No disk."), 2, StoreFailed.code),
        (Damaged("No database."), 5, Damaged.code),
        (Corrupt("Row 3."), 5, Corrupt.code),
        (UnknownSchema("Too new."), 2, UnknownSchema.code),
        (Full("No room."), 1, Full.code),
        (LinkLost("Gone."), 1, LinkLost.code),
        (RemoteRefusal({"exit_code": 4, "code": "reserve", "sentence": "No."}), 4, "reserve"),
    ],
)
def test_each_packages_error_leaves_with_its_code(
    problem: NodeError, exit_code: int, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    left_with, out, err = left(problem, capsys)
    assert (left_with, json.loads(out)["error"]["code"]) == (exit_code, code)
    assert err == f"{problem} [{code}]\n"


def test_what_belongs_to_an_error_is_in_its_json(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = left(UsageError("Too much.", code="reserve", would_pass=70), capsys)
    assert json.loads(out) == {"error": {"code": "reserve", "sentence": "Too much.", "would_pass": 70}}


def test_an_interrupt_is_told_by_its_customary_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert left(KeyboardInterrupt(), capsys)[0] == 130


def test_an_unknown_error_is_not_hidden() -> None:
    def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Output(True).guarded(work)


@pytest.mark.parametrize(("as_json", "out", "err"), [(False, "Hello.\n", ""), (True, '{\n  "a": 1\n}\n', "Hello.\n")])
def test_stdout_belongs_to_the_json_where_it_was_asked_for(
    as_json: bool, out: str, err: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = Output(as_json)
    output.say("Hello.")
    output.result({"a": 1})
    assert capsys.readouterr() == (out, err)
