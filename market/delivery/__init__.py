"""An agreed delivery, from Confirm to Closed: `ProviderDelivery` and `ClientDelivery`.

A driver makes its side's machine, hands in what its meter, interlock, owner and peer say, and does what comes out in
that order: power first. See `market.machine` for how entries are recorded, and `standing` for a restart.
"""

from market.delivery.account import Account, replay
from market.delivery.agreement import Agreement
from market.delivery.client import ClientDelivery
from market.delivery.provider import ProviderDelivery
from market.delivery.stages import Stage
from market.delivery.standing import HeldEntry, Standing, standing
from market.delivery.steps import (
    AllowPower,
    BeginPath,
    ControlCounters,
    CutPower,
    DeliveryEffect,
    Finished,
    OwnerLimit,
    OwnerPause,
    OwnerStop,
    OwnPlug,
    PathEnded,
    PathPrepared,
    Plugged,
    PlugHeard,
    PushStatus,
    Reading,
    Redial,
    Restart,
    Resubscribe,
    SuspendPath,
    Written,
)

__all__ = [
    "Account",
    "Agreement",
    "AllowPower",
    "BeginPath",
    "ClientDelivery",
    "ControlCounters",
    "CutPower",
    "DeliveryEffect",
    "Finished",
    "HeldEntry",
    "OwnPlug",
    "OwnerLimit",
    "OwnerPause",
    "OwnerStop",
    "PathEnded",
    "PathPrepared",
    "PlugHeard",
    "Plugged",
    "ProviderDelivery",
    "PushStatus",
    "Reading",
    "Redial",
    "Restart",
    "Resubscribe",
    "Stage",
    "Standing",
    "SuspendPath",
    "Written",
    "replay",
    "standing",
]
