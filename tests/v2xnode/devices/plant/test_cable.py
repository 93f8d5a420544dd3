from hypothesis import given
from hypothesis import strategies as st

from v2xnode.devices.plant.cable import SLOT_MS, SLOTS, Cable, CableSpec


@given(value=st.integers(0, 0xFFFF), since_ms=st.integers(0, 1_000), now_ms=st.integers(0, 2_000))
def test_a_pattern_is_read_whole_or_not_at_all(value: int, since_ms: int, now_ms: int) -> None:
    cable = Cable("w", CableSpec())
    cable.pattern = (value, 500)
    whole = now_ms >= 500 + SLOTS * SLOT_MS and since_ms <= 500
    assert cable.pattern_since(since_ms, now_ms) == (value if whole else None)


@given(value=st.integers(0, 0xFFFF))
def test_the_levels_spell_the_pattern(value: int) -> None:
    cable = Cable("w", CableSpec())
    cable.pattern = (value, 0)
    levels = [cable.pattern_level_mv(slot * SLOT_MS) or 0 for slot in range(SLOTS)]
    assert "".join(f"{(level - 12_000) // 2_000:x}" for level in levels) == f"{value:04x}"
    assert cable.pattern_level_mv(SLOTS * SLOT_MS) is None


def test_a_box_on_the_cable_loses_its_standby_its_share_and_its_resistance() -> None:
    cable = Cable("w", CableSpec(resistance_mohm=100, standby_w=30, loss_ppm=30_000))
    assert cable.loss_mw(8_000_000, 400_000) == 30_000 + 240_000 + 40_000
    assert cable.loss_mw(0, 400_000) == 30_000
