from market.terms import PlugStep
from v2xnode.power.events import PlugReport, TellPlug
from v2xnode.power.telling import MAX_RETELLS, RETELL_MS, Telling

REPORT = PlugReport(1, PlugStep.PATTERN, 7, 0)


def test_nothing_is_told_again_before_it_was_told() -> None:
    telling = Telling()
    assert telling.due_ms is None
    assert telling.again(10**9, counted=False) == ()


def test_the_newest_report_comes_again_after_its_period_and_not_before() -> None:
    telling = Telling()
    telling.tell(REPORT, 1_000)
    assert telling.again(1_000 + RETELL_MS - 1, counted=False) == ()
    assert telling.again(1_000 + RETELL_MS, counted=False) == (TellPlug(REPORT),)
    assert telling.due_ms == 1_000 + 2 * RETELL_MS


def test_counted_repetitions_end() -> None:
    telling = Telling()
    telling.tell(REPORT, 0)
    told = [telling.again(n * RETELL_MS, counted=True) for n in range(1, 100)]
    assert sum(len(once) for once in told) == MAX_RETELLS
