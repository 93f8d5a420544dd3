from v2xnode.devices.plant.log import MAX_ENTRIES, Entry, PlantLog


def test_memory_is_bounded_and_the_sink_gets_all() -> None:
    kept: list[Entry] = []
    log = PlantLog(kept.append)
    for at_ms in range(MAX_ENTRIES + 10):
        log.write(at_ms, "power", terminal="a" if at_ms % 2 else "b", power_w=1)
    assert len(log.entries) == MAX_ENTRIES
    assert len(kept) == MAX_ENTRIES + 10
    assert log.of("power", "a")[-1] == {"at_ms": MAX_ENTRIES + 9, "what": "power", "terminal": "a", "power_w": 1}
    assert log.of("permit") == []
