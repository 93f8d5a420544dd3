from market.delivery import ClientDelivery, ProviderDelivery, Stage
from market.delivery.stages import BEFORE_POWER, POWERED, STOPPED, WRITTEN, Timer, said_by_peer
from market.errors import Reason


def test_every_stage_belongs_to_one_part_of_the_delivery() -> None:
    parts = [*BEFORE_POWER, *POWERED, *STOPPED, *WRITTEN, Stage.VOIDING, Stage.FINISHED]
    assert sorted(parts, key=lambda stage: stage.value) == list(Stage)


def test_every_timer_that_a_side_uses_knows_its_states_and_what_it_does() -> None:
    assert set(ProviderDelivery.RUNS_IN) == set(ClientDelivery.RUNS_IN) == set(Timer)
    assert set(ProviderDelivery.TIMEOUTS) | set(ClientDelivery.TIMEOUTS) == set(Timer)


def test_nothing_is_waited_for_once_it_is_over() -> None:
    for machine in (ProviderDelivery, ClientDelivery):
        assert not [timer for timer, states in machine.RUNS_IN.items() if Stage.FINISHED in states]


def test_the_peers_owner_is_not_ours() -> None:
    assert said_by_peer(Reason.STOPPED_BY_OWNER) is Reason.STOPPED_BY_PEER
    assert said_by_peer(Reason.CLIENT_FULL) is Reason.CLIENT_FULL
