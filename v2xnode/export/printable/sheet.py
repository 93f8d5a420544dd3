"""What stands on the paper, in words and figures: the same for HTML and PDF."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from market.settlement import LineKind, PriceLine
from market.terms import PriceKind
from market.units import MICRO, MS_PER_MINUTE, MS_PER_SECOND
from v2xnode.export.figures import kwh, money
from v2xnode.export.paper import check_code
from v2xnode.export.printable.words import CATALOGUE, FEES, SERVICES, Words
from v2xnode.export.receipt import Verdict
from v2xnode.settling.bill import Bill

SHOWN_DIGITS = 16
"""Of a key, in larger type; the whole key stands below it."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the bill."""

    label: str
    quantity: str
    price: str
    amount: str


@dataclass(frozen=True, slots=True)
class Party:
    """One side: what it is, the beginning of its key, and all of it."""

    label: str
    short: str
    key: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """The page from top to bottom. code: what the QR code says, None where there is none."""

    lang: str
    title: str
    service: str
    state: str
    when: str
    total_label: str
    total: str
    parties: tuple[Party, Party]
    headings: tuple[str, str, str, str]
    rows: tuple[Row, ...]
    facts: tuple[tuple[str, str], ...]
    proof_title: str
    proof: tuple[str, ...]
    code: str | None
    reference: tuple[str, str]


def sheet_of(verdict: Verdict, bill: Bill, lang: str) -> Sheet:
    """The page of a receipt that holds; `bill` is that of its trade, resolved where that was. lang: en or de."""
    return _Writer(verdict, bill, lang).sheet()


class _Writer:
    def __init__(self, verdict: Verdict, bill: Bill, lang: str) -> None:
        self.verdict, self.told, self.bill, self.lang = verdict, verdict.dossier, bill, lang
        self.words: Words = CATALOGUE[lang]

    def sheet(self) -> Sheet:
        told, words = self.told, self.words
        code = check_code(self.verdict.receipt)
        return Sheet(
            lang=self.lang,
            title=words["title"],
            service=SERVICES[self.lang][told.request.service],
            state=words[told.state].format(parked=self.kwh(told.parked_wh)),
            when=self.moment(told.settled_at_s * MS_PER_SECOND),
            total_label=words["total"],
            total=f"{self.money(told.total_micro)} {told.offer.currency}",
            parties=(self.party("provider", told.provider), self.party("client", told.client)),
            headings=(words["line"], words["quantity"], words["price"], words["amount"]),
            rows=tuple(self.rows()),
            facts=tuple(self.facts()),
            proof_title=words["proof"],
            proof=tuple(self.proof(code)),
            code=code,
            reference=(words["reference"], self.verdict.receipt.request_id.hex()),
        )

    def party(self, name: str, key: bytes) -> Party:
        return Party(self.words[name], key.hex()[:SHOWN_DIGITS], key.hex())

    def rows(self) -> Iterator[Row]:
        """Price steps under which nothing flowed are left out; there are up to 24."""
        digits = max(_digits(amount_micro) for _, amount_micro in self.told.lines)
        energies = (*self.bill.tally.line_wh, *[0] * len(self.told.lines))
        for at, ((line, amount_micro), energy_wh) in enumerate(zip(self.told.lines, energies, strict=False)):
            if line.kind is not LineKind.ENERGY or energy_wh or at == 0:
                quantity = f"{self.kwh(energy_wh)} kWh" if line.kind is LineKind.ENERGY else ""
                yield Row(self.label(line, at), quantity, self.rate(line), self.money(amount_micro, digits))

    def label(self, line: PriceLine, at: int) -> str:
        if line.kind is LineKind.TAX:
            return self.words["tax"]
        if line.kind is not LineKind.ENERGY:
            return self.words[FEES[line.kind]]
        offer = self.told.offer
        edge = offer.price_steps[at].edge
        if offer.price_kind is PriceKind.TIME_OF_USE:
            return self.words["energy_from_time"].format(edge=self.moment(edge * MS_PER_MINUTE))
        if offer.price_kind is PriceKind.TIERED and edge:
            return self.words["energy_from_wh"].format(edge=self.kwh(edge))
        return self.words["energy"]

    def rate(self, line: PriceLine) -> str:
        if line.kind is LineKind.ENERGY:
            return self.words["per_kwh"].format(price=self.money(line.rate))
        return f"{self.point(f'{line.rate // 100}.{line.rate % 100:02d}')} %" if line.kind is LineKind.TAX else ""

    def facts(self) -> Iterator[tuple[str, str]]:
        told, words = self.told, self.words
        yield words["delivered"], self.span(told.started_at_ms, told.ended_at_ms)
        yield words["providers_meter"], f"{self.kwh(told.provider_wh)} kWh"
        yield words["clients_meter"], f"{self.kwh(told.client_wh)} kWh"
        yield words["agreed"], f"{self.kwh(told.agreed_wh)} kWh"

    def proof(self, code: str | None) -> Iterator[str]:
        words, checked = self.words, self.verdict.checked
        yield words["code"] if code else words["no_code"]
        if checked.checkpoint is None:
            yield words["no_checkpoint"] + "."
        else:
            names = [each.node.hex()[:12] for each in checked.cosigners]
            node, size = self.verdict.receipt.node.hex()[:12], checked.checkpoint.size
            said = words["checkpoint"].format(node=node, size=size, witnesses=", ".join(names) or words["nobody"])
            yield said + "."
        if checked.revoked:
            yield words["revoked"]
        yield words["times"]

    def kwh(self, energy_wh: int) -> str:
        return self.point(str(kwh(energy_wh)))

    def money(self, amount_micro: int, digits: int = 0) -> str:
        """Exactly, with as many digits behind the point as it needs, and as are asked for."""
        shown = max(digits, _digits(amount_micro))
        return self.point(f"{money(amount_micro):f}"[: shown - 6 or None])

    def point(self, text: str) -> str:
        return text.replace(".", self.words["point"])

    def span(self, start_at_ms: int, end_at_ms: int) -> str:
        """The day once, where both are of one."""
        start, end = self.moment(start_at_ms), self.moment(end_at_ms)
        day, _, hour = end.partition(" ")
        return self.words["from_to"].format(start=start, end=hour if start.startswith(day) else end)

    def moment(self, at_ms: int) -> str:
        form = "%d.%m.%Y %H:%M" if self.lang == "de" else "%Y-%m-%d %H:%M"
        return datetime.fromtimestamp(at_ms // MS_PER_SECOND, UTC).strftime(form)


def _digits(amount_micro: int) -> int:
    """Behind the point: two, or as many as are not zero."""
    return max(2, len(f"{amount_micro % MICRO:06d}".rstrip("0")))


def languages() -> Sequence[str]:
    """Those that the paper can be written in."""
    return tuple(CATALOGUE)
