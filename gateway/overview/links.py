"""Addresses of the lists behind the overview's numbers (pure)."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import reverse

from core.ranges import TimeRange


@dataclass(frozen=True)
class Links:
    """Of one project and time."""

    ref: str
    period: TimeRange

    def requests(self, period: TimeRange | None = None, **narrow: str) -> str:
        """The request list: exactly the calls that were counted, whenever the link is opened."""
        said = {"range": (period or self.period).explicit} | narrow
        return f"{reverse('gateway:request_list', args=[self.ref])}?{urlencode(said)}"

    def target(self, connection: str, model: str, **narrow: str) -> str:
        """Calls that were tried there."""
        return self.requests(None, connection=connection, target=model, **narrow)

    @property
    def now(self) -> str:
        """What waits."""
        return reverse("gateway:request_list", args=[self.ref]) + "#request-now"

    @property
    def cache(self) -> str:
        return reverse("gateway:cache", args=[self.ref])
