"""Rules, incidents, channels and deliveries, and what people want to hear."""

from alerts.models.channels import Channel, ChannelKind, Delivery, DeliveryAction, DeliveryState
from alerts.models.events import AlertEvent, EntryKind, EventEntry, EventState
from alerts.models.people import Digest, EventRead, NotificationPreference
from alerts.models.platform import OperatorChannel, OperatorIncident, WatchSample, WatchState
from alerts.models.rules import (
    SEVERITY_RANK,
    Alert,
    AlertChannel,
    AlertKind,
    AlertState,
    BudgetWatch,
    CompareWith,
    Direction,
    Maintenance,
    NoData,
    Repeats,
    Severity,
    StateStatus,
)

__all__ = [
    "SEVERITY_RANK",
    "Alert",
    "AlertChannel",
    "AlertEvent",
    "AlertKind",
    "AlertState",
    "BudgetWatch",
    "Channel",
    "ChannelKind",
    "CompareWith",
    "Delivery",
    "DeliveryAction",
    "DeliveryState",
    "Digest",
    "Direction",
    "EntryKind",
    "EventEntry",
    "EventRead",
    "EventState",
    "Maintenance",
    "NoData",
    "NotificationPreference",
    "OperatorChannel",
    "OperatorIncident",
    "Repeats",
    "Severity",
    "StateStatus",
    "WatchSample",
    "WatchState",
]
