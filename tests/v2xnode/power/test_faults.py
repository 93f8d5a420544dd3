"""Codes and sentences belong together, one to one."""

from v2xnode.power.faults import SENTENCES
from v2xnode.power.guards import GUARDS
from v2xnode.power.steps import FALLING, RISING

ROWS = [row for sides in RISING.values() for rows in sides.values() for row in rows] + list(FALLING)
DISTINCT = {id(row): row for row in ROWS}.values()


def test_every_fault_has_a_sentence_and_every_sentence_a_fault() -> None:
    codes = {row.fault for row in DISTINCT} | {guard.code for guard in GUARDS if not guard.ends}
    assert codes | {"device_refused", "sense_stale"} == set(SENTENCES)
    assert all(sentence.endswith(".") for sentence in SENTENCES.values())
