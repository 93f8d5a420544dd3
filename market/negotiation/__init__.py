"""How an agreement comes about: `ProviderNegotiation` for each request, `ClientNegotiation` for each need.

A provider's driver: verify the request, ask the policy, make the machine, give it the `Decision`. A client's driver:
make and send the requests, make the machine. Then both hand in what arrives and do what comes out.
"""

from market.negotiation.client import ClientNegotiation, ClientStage
from market.negotiation.provider import ProviderNegotiation, ProviderStage
from market.negotiation.steps import (
    Agreed,
    Ask,
    ClientEffect,
    Confirmed,
    Decide,
    Decided,
    Decision,
    Ended,
    GaveUp,
    Haggle,
    InSession,
    ProviderEffect,
    Rank,
    Withdrawal,
)

__all__ = [
    "Agreed",
    "Ask",
    "ClientEffect",
    "ClientNegotiation",
    "ClientStage",
    "Confirmed",
    "Decide",
    "Decided",
    "Decision",
    "Ended",
    "GaveUp",
    "Haggle",
    "InSession",
    "ProviderEffect",
    "ProviderNegotiation",
    "ProviderStage",
    "Rank",
    "Withdrawal",
]
