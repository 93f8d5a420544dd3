import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.coap.address import Peer
from transports.coap.linkformat import MAX_LINKS, Offered, compose, matches, parse
from transports.interface import Announcement

SHOWN = Announcement(1, 5, bytes.fromhex("a1b2c3d4e5"))
announcements = st.builds(Announcement, st.integers(0, 15), st.integers(0, 15), st.binary(min_size=5, max_size=5))


def test_the_link_is_the_documented_one() -> None:
    absolute = '<coap://192.0.2.7:5701/t>;rt="v2x.trade";role=1;svc=5;id=a1b2c3d4e5'
    assert compose(SHOWN, Peer("192.0.2.7", 5701)) == absolute
    assert compose(SHOWN, None) == '</t>;rt="v2x.trade";role=1;svc=5;id=a1b2c3d4e5'


@given(announcements, st.sampled_from(["192.0.2.7", "2001:db8::7", "fe80::1"]), st.integers(1, 65_535))
def test_what_was_shown_is_seen(announcement: Announcement, host: str, port: int) -> None:
    document = compose(announcement, Peer(host, port, scope=1))
    assert parse(document.encode()) == [Offered(host, port, announcement)]


def test_ours_is_found_among_other_links() -> None:
    ours = compose(SHOWN, Peer("192.0.2.7", 5701))
    document = f'</lamp>;rt="light dim";obs;title="a, b; c",{ours},<coap://192.0.2.7:5701/t>;rt=other'
    assert parse(document.encode()) == [Offered("192.0.2.7", 5701, SHOWN)]


@pytest.mark.parametrize(
    "document",
    [
        "",
        "nonsense",
        "<coap://192.0.2.7:5701/t>",
        '</t>;rt="v2x.trade";role=1;svc=5;id=a1b2c3d4e5',
        '<coap://192.0.2.7/t>;rt="v2x.trade";role=1;svc=5;id=a1b2c3d4e5',
        '<coap://car.local:5701/t>;rt="v2x.trade";role=1;svc=5;id=a1b2c3d4e5',
        '<coap://192.0.2.7:5701/other>;rt="v2x.trade";role=1;svc=5;id=a1b2c3d4e5',
        '<coap://[fe80::1%eth0]:5701/t>;rt="v2x.trade";role=1;svc=5;id=a1b2c3d4e5',
        '<http://192.0.2.7:5701/t>;rt="v2x.trade";role=1;svc=5;id=a1b2c3d4e5',
        '<coap://192.0.2.7:5701/t>;rt="v2x.trades";role=1;svc=5;id=a1b2c3d4e5',
        '<coap://192.0.2.7:5701/t>;rt="v2x.trade";role=16;svc=5;id=a1b2c3d4e5',
        '<coap://192.0.2.7:5701/t>;rt="v2x.trade";role=1;svc=;id=a1b2c3d4e5',
        '<coap://192.0.2.7:5701/t>;rt="v2x.trade";role=1;svc=5;id=A1B2C3D4E5',
        '<coap://192.0.2.7:5701/t>;rt="v2x.trade";role=1;svc=5;id=a1b2c3d4',
        '<coap://192.0.2.7:5701/t>;rt="v2x.trade";role=1;svc=5;id=a1b2c3d4e5;',
        '<coap://192.0.2.7:5701/t>;rt="v2x.trade";role=1;svc=5;id=a1b2c3d4e5,',
        '<coap://192.0.2.7:5701/t>;rt="v2x.trade";role=1;svc=5;id=a1b2c3d4e5 ',
        '<coap://192.0.2.7:5701/t>;rt="v2x.trade";role=1;svc=5;id=a1b2c3d4e5é',
    ],
)
def test_what_is_not_exactly_ours_shows_nobody(document: str) -> None:
    assert parse(document.encode()) == []


def test_documents_are_bounded() -> None:
    assert parse(b",".join([b"</a>"] * (MAX_LINKS + 1))) == []
    assert parse(compose(SHOWN, Peer("192.0.2.7", 5701)).encode() + b',</a>;title="' + b"x" * 1024 + b'"') == []


@given(st.binary(max_size=300))
def test_no_document_raises(document: bytes) -> None:
    assert parse(document) == []


@pytest.mark.parametrize(
    "query", [(), ("rt=v2x.trade",), ("rt=v2x*",), ("rt=*",), ("href=/t",), ("svc=5", "role=1"), ("id=a1*",)]
)
def test_filters_that_fit(query: tuple[str, ...]) -> None:
    assert matches(query, SHOWN)


@pytest.mark.parametrize(
    "query", [("rt=light",), ("rt=v2x.trade", "svc=4"), ("rt",), ("if=v2x.trade",), ("href=/",), ("rt=v2x",), ("",)]
)
def test_filters_that_do_not(query: tuple[str, ...]) -> None:
    assert not matches(query, SHOWN)
