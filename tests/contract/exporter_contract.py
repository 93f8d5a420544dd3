"""What every exporter must keep, whatever it writes. A test of one inherits and gives the fixture `exporter`."""

from dataclasses import replace

from v2xnode.export.interface import Exporter, Source


class ExporterContract:
    """`source` holds a trade of each kind and end, and a bound meter key (tests/v2xnode/export/conftest.py)."""

    def test_it_writes_lines_of_text(self, exporter: Exporter, source: Source) -> None:
        lines = list(exporter(source))
        assert lines
        assert all(isinstance(line, str) and line for line in lines)
        assert not any(character in line for line in lines for character in "\r\n")

    def test_the_same_source_gives_the_same_lines(self, exporter: Exporter, source: Source) -> None:
        assert list(exporter(source)) == list(exporter(source))

    def test_it_leaves_out_what_was_not_asked_for(self, exporter: Exporter, source: Source) -> None:
        wanted = source.trades[1]
        lines = list(exporter(replace(source, trades=[wanted], only=wanted.trade.request_id)))
        told = "\n".join(lines)
        others = [each.trade.request_id.hex() for each in source.trades if each is not wanted]
        assert wanted.trade.request_id.hex() in told
        assert not any(each in told for each in others)

    def test_a_trade_whose_bodies_were_dropped_is_no_fault(self, exporter: Exporter, source: Source) -> None:
        """After a Net of both parties a trade may have no entries that can be read."""
        dropped = [replace(each, trade=replace(each.trade, state="netted", entries=())) for each in source.trades]
        list(exporter(replace(source, trades=dropped)))

    def test_no_trade_is_no_fault(self, exporter: Exporter, source: Source) -> None:
        assert len(list(exporter(replace(source, trades=[], only=b"\x00" * 16)))) <= 1
