"""Commands to a running node: what they ask it, how its answers and refusals leave, and what they do without one."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.v2xnode.cli.calling import called, printed
from v2xnode.control import Tell, serving_control
from v2xnode.errors import NodeError, RefusedByLimit

REQUEST = ("request", "--service", "v2v", "--energy-wh", "2000")


async def commanded(data: Path, answer: object, *words: str) -> tuple[Result, list[tuple[str, dict[str, Any]]]]:
    """A command's result where a node answers so (an error: refuses; None: is silent), and what the node was asked."""
    asked: list[tuple[str, dict[str, Any]]] = []

    async def dispatch(method: str, params: dict[str, Any], tell: Tell) -> object:
        asked.append((method, params))
        tell({"kind": "milestone", "milestone": "offered", "energy_wh": 7})
        if isinstance(answer, NodeError):
            raise answer
        if answer is None:
            await asyncio.Event().wait()
        return answer

    async with serving_control(data, dispatch):
        result = await asyncio.to_thread(called, *words, "--data", data, "--json")
    return result, asked


@pytest.mark.parametrize("words", [REQUEST, ("trades",), ("stop",), ("allow", "ab12")])
def test_without_a_node_they_say_how_to_start_one(words: tuple[str, ...], tmp_path: Path) -> None:
    result = called(*words, "--data", tmp_path)
    assert (result.exit_code, result.stdout) == (3, "")
    assert f"v2xnode run --data {tmp_path}" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_run_without_a_configuration_says_what_to_do(tmp_path: Path) -> None:
    result = called("run", "--data", tmp_path)
    assert result.exit_code == 2
    assert f"v2xnode init --data {tmp_path}" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("request", "--energy-wh", "5"),
        ("request", "--service", "V2V", "--energy-wh", "0"),
        ("request", "--service", "V2V", "--energy-wh", "1.5"),
        (*REQUEST, "--price-max-micro", "-1"),
    ],
)
def test_a_value_out_of_range_is_refused_before_a_node_is_asked(words: tuple[str, ...], tmp_path: Path) -> None:
    result = called(*words, "--data", tmp_path, "--json")
    assert (result.exit_code, result.stdout) == (2, "")


async def test_a_request_tells_its_way_on_stderr_and_its_result_as_json(tmp_path: Path) -> None:
    answer = {"sentence": "Settled.", "delivered_wh": 2000}
    result, [(method, params)] = await commanded(tmp_path, answer, *REQUEST, "--peer", "AB", "--window-minutes", "2")
    assert (result.exit_code, printed(result)) == (0, answer)
    assert result.stderr == "  milestone offered 7\nSettled.\n"
    assert method == "request"
    wanted = {"service": "V2V", "energy_wh": 2000, "energy_min_wh": 2000, "window_ms": 120_000, "peer": "ab"}
    assert wanted.items() <= params.items()


async def test_the_least_energy_can_be_named(tmp_path: Path) -> None:
    _, [(_, params)] = await commanded(tmp_path, {"sentence": ""}, *REQUEST, "--energy-min-wh", "5")
    assert params["energy_min_wh"] == 5


async def test_a_limits_refusal_is_exit_4_and_says_what_would_pass(tmp_path: Path) -> None:
    would_pass = {"quantity": "energy_wh", "value": 1200}
    refusal = RefusedByLimit("The reserve is kept.", code="reserve", would_pass=would_pass)
    result, _ = await commanded(tmp_path, refusal, *REQUEST)
    assert result.exit_code == 4
    expected = {"code": "reserve", "sentence": "The reserve is kept.", "would_pass": would_pass}
    assert printed(result) == {"error": expected}
    assert result.stderr.endswith("The reserve is kept. [reserve]\n")


async def test_another_error_of_the_node_keeps_its_codes(tmp_path: Path) -> None:
    result, _ = await commanded(tmp_path, NodeError("No peer.", code="nobody"), *REQUEST)
    assert (result.exit_code, printed(result)["error"]["code"]) == (1, "nobody")


async def test_a_request_that_takes_too_long_is_exit_6_and_goes_on(tmp_path: Path) -> None:
    result, _ = await commanded(tmp_path, None, *REQUEST, "--timeout-s", "1")
    assert (result.exit_code, printed(result)["error"]["code"]) == (6, "timed_out")
    assert "goes on in the node" in result.stderr


@pytest.mark.parametrize(
    ("words", "answer", "asked", "shown", "said"),
    [
        (("trades",), [{"sentence": "Sold."}], ("trades", {}), {"trades": [{"sentence": "Sold."}]}, "Sold."),
        (("allow", "ab"), "ab" * 32, ("allow", {"peer": "ab"}), {"allowed": "ab" * 32}, "ab may trade"),
        (("stop",), [], ("stop", {"request_id": ""}), {"stopped": []}, "nothing was running"),
        (("stop", "--request-id", "77"), ["77"], ("stop", {"request_id": "77"}), {"stopped": ["77"]}, "Stopped: 77."),
    ],
)
async def test_what_a_node_is_asked_and_what_its_answer_becomes(
    words: tuple[str, ...], answer: object, asked: object, shown: object, said: str, tmp_path: Path
) -> None:
    result, heard = await commanded(tmp_path, answer, *words)
    assert heard == [asked]
    assert (result.exit_code, printed(result)) == (0, shown)
    assert said in result.stderr
