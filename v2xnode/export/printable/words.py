"""The catalogue: every word on the paper, in each language."""

from collections.abc import Mapping
from typing import Final

from market.settlement import LineKind
from market.units import Service

Words = Mapping[str, str]

ENGLISH: Final[Words] = {
    "lang": "en",
    "point": ".",
    "title": "Energy receipt",
    "settled": "Settled",
    "disputed": "Settled, {parked} kWh still disputed",
    "resolved": "Settled after a dispute",
    "total": "Total",
    "provider": "Provider",
    "client": "Client",
    "delivered": "Delivered",
    "from_to": "{start} to {end}",
    "line": "Item",
    "quantity": "Energy",
    "price": "Price",
    "amount": "Amount",
    "per_kwh": "{price} a kWh",
    "energy": "Energy",
    "energy_from_time": "Energy from {edge}",
    "energy_from_wh": "Energy above {edge} kWh",
    "session_fee": "Session fee",
    "travel_fee": "Travel",
    "tax": "Tax",
    "meters": "Meters",
    "providers_meter": "Provider's meter",
    "clients_meter": "Client's meter",
    "agreed": "Agreed energy",
    "proof": "How to check this paper",
    "code": "The code carries three signatures: the client's under the agreement, and both parties' under these "
    "totals. Scan it, save its text as a file, and run v2xnode ledger verify FILE. That proves the parties, the "
    "energy, the amounts and the currency; prices and times stand in the full receipt file.",
    "no_code": "A party has changed its key, so that no code holds by itself: ask for the full receipt file.",
    "reference": "Reference",
    "checkpoint": "In the chain of {node}, {size} entries, cosigned by {witnesses}",
    "no_checkpoint": "Not under a checkpoint yet",
    "nobody": "nobody",
    "revoked": "A key was revoked after it signed.",
    "times": "Times are UTC, by the provider's clock.",
}

GERMAN: Final[Words] = {
    "lang": "de",
    "point": ",",
    "title": "Energiebeleg",
    "settled": "Abgerechnet",
    "disputed": "Abgerechnet, {parked} kWh noch strittig",
    "resolved": "Nach einem Streitfall abgerechnet",
    "total": "Gesamt",
    "provider": "Lieferant",
    "client": "Abnehmer",
    "delivered": "Geliefert",
    "from_to": "{start} bis {end}",
    "line": "Posten",
    "quantity": "Energie",
    "price": "Preis",
    "amount": "Betrag",
    "per_kwh": "{price} je kWh",
    "energy": "Energie",
    "energy_from_time": "Energie ab {edge}",
    "energy_from_wh": "Energie über {edge} kWh",
    "session_fee": "Grundgebühr",
    "travel_fee": "Anfahrt",
    "tax": "Steuer",
    "meters": "Zähler",
    "providers_meter": "Zähler des Lieferanten",
    "clients_meter": "Zähler des Abnehmers",
    "agreed": "Vereinbarte Energie",
    "proof": "So lässt sich dieses Papier prüfen",
    "code": "Der Code enthält drei Unterschriften: die des Abnehmers unter der Vereinbarung und die beider Seiten "
    "unter diesen Summen. Code einlesen, den Text als Datei speichern und v2xnode ledger verify DATEI aufrufen. Das "
    "beweist die Beteiligten, die Energie, die Beträge und die Währung; Preise und Zeiten stehen in der vollständigen "
    "Belegdatei.",
    "no_code": "Eine Seite hat ihren Schlüssel gewechselt, daher gilt kein Code für sich: bitte um die Belegdatei.",
    "reference": "Kennzeichen",
    "checkpoint": "In der Kette von {node}, {size} Einträge, bezeugt von {witnesses}",
    "no_checkpoint": "Noch unter keinem Prüfpunkt",
    "nobody": "niemandem",
    "revoked": "Ein Schlüssel wurde nach der Unterschrift widerrufen.",
    "times": "Zeiten in UTC nach der Uhr des Lieferanten.",
}

CATALOGUE: Final[Mapping[str, Words]] = {"en": ENGLISH, "de": GERMAN}

SERVICES: Final[Mapping[str, Mapping[Service, str]]] = {
    "en": {
        Service.V2V: "Vehicle to vehicle",
        Service.V2L: "Vehicle to load",
        Service.V2H: "Vehicle to home",
        Service.V2B: "Vehicle to building",
    },
    "de": {
        Service.V2V: "Fahrzeug zu Fahrzeug",
        Service.V2L: "Fahrzeug zu Verbraucher",
        Service.V2H: "Fahrzeug zu Haus",
        Service.V2B: "Fahrzeug zu Gebäude",
    },
}

FEES: Final = {LineKind.SESSION_FEE: "session_fee", LineKind.TRAVEL_FEE: "travel_fee"}
