"""The table of open links: two bounds, two orders of leaving."""

from transports.link_table import LinkTable
from transports.records import Session


def session(link_id: int) -> Session:
    return Session(peer=bytes(32), local_id=link_id, remote_id=64)


def table(*, fresh: int = 2, fresh_ms: int = 100, established: int = 2) -> LinkTable:
    return LinkTable(fresh=fresh, fresh_ms=fresh_ms, established=established)


def test_the_oldest_fresh_one_gives_way() -> None:
    links = table()
    for link_id in (64, 65, 66):
        links.add(session(link_id), 0)
    assert [link_id in links for link_id in (64, 65, 66)] == [False, True, True]
    assert len(links) == 2


def test_the_longest_idle_established_one_gives_way() -> None:
    links = table(fresh=9)
    held = [session(link_id) for link_id in (64, 65, 66)]
    for one in held:
        links.add(one, 0)
    for at in (0, 1, 0, 2):
        links.used(held[at], 1)
    assert [links.holds(one) for one in held] == [True, False, True]


def test_fresh_ones_expire_and_established_ones_do_not() -> None:
    links = table()
    fresh, established = session(64), session(65)
    links.add(fresh, 0)
    links.add(established, 0)
    links.used(established, 0)
    links.expire(99)
    assert links.holds(fresh)
    links.expire(100)
    assert not links.holds(fresh)
    assert links.holds(established)


def test_another_session_with_the_same_id_is_not_removed() -> None:
    links = table()
    ours = session(64)
    links.add(ours, 0)
    links.remove(session(64))
    assert links.get(64) is ours
    links.remove(ours)
    links.remove(ours)
    assert links.get(64) is None
