"""Every row of both tables is a step, and everything else changes nothing."""

import pytest

from market.delivery import ClientDelivery, ProviderDelivery, Stage
from market.errors import StepRefused
from market.machine import Received, Refused
from tests.support.market_stages import EVENTS, MESSAGES, Played, client_at, provider_at, sample, snapshot

PROVIDER_STAGES = [stage for stage in Stage if stage is not Stage.STARTING]
CLIENT_STAGES = [stage for stage in Stage if stage is not Stage.READING]


@pytest.mark.parametrize("stage", PROVIDER_STAGES)
def test_a_provider_is_brought_to_each_stage(stage: Stage) -> None:
    assert provider_at(stage).machine.state is stage


@pytest.mark.parametrize("stage", CLIENT_STAGES)
def test_a_client_is_brought_to_each_stage(stage: Stage) -> None:
    assert client_at(stage).machine.state is stage


def _is_legal(played: Played, stage: Stage, kind: type) -> bool:
    machine = type(played.machine)
    return (stage, kind) in machine.STEPS or kind in machine.ALWAYS


def _check(played: Played, stage: Stage, kind: type) -> None:
    event, before = sample(kind), snapshot(played.machine)
    if _is_legal(played, stage, kind):
        effects = played.give(event, wait_ms=1)
        if [type(each) for each in effects] == [Refused]:  # a row looks at what the message says, too
            assert snapshot(played.machine) == before | {"_now": played.now_ms}
        return
    if isinstance(event, Received):
        assert played.machine.handle(event, 10**9) == (Refused(event.message),)
    else:
        with pytest.raises(StepRefused):
            played.machine.handle(event, 10**9)
    assert snapshot(played.machine) == before


@pytest.mark.parametrize("kind", [*EVENTS, *MESSAGES])
@pytest.mark.parametrize("stage", PROVIDER_STAGES)
def test_a_provider_takes_the_rows_of_its_table_and_nothing_else(stage: Stage, kind: type) -> None:
    _check(provider_at(stage), stage, kind)


@pytest.mark.parametrize("kind", [*EVENTS, *MESSAGES])
@pytest.mark.parametrize("stage", CLIENT_STAGES)
def test_a_client_takes_the_rows_of_its_table_and_nothing_else(stage: Stage, kind: type) -> None:
    _check(client_at(stage), stage, kind)


@pytest.mark.parametrize("machine", [ProviderDelivery, ClientDelivery])
def test_every_row_is_met_above(machine: type[ProviderDelivery] | type[ClientDelivery]) -> None:
    stages = PROVIDER_STAGES if machine is ProviderDelivery else CLIENT_STAGES
    known = {*EVENTS, *MESSAGES}
    unmet = [row for row in machine.STEPS if row[1] not in known or row[0] not in stages]
    assert {stage for stage, _ in unmet} <= {Stage.STARTING, Stage.READING}
    assert all(kind in known for _, kind in unmet)
