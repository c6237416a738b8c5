"""The simulator's receivers in this process: what they were sent, and faults, over its own doors."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import override_settings

from core.http import OutboundClient
from tests.fakes.billing import serving


@dataclass
class Receivers:
    """Addresses to give to channels."""

    url: str

    def _post(self, path: str, document: Any) -> None:
        with OutboundClient() as client:
            reply = client.request("POST", f"{self.url}/simulator/receivers/{path}", json=document)
        assert reply.status == 200, reply.text()

    def faults(self, **faults: dict[str, Any]) -> None:
        """Of receivers by name; without any all are well."""
        self._post("faults", faults)

    def forget(self) -> None:
        self._post("forgotten", {})

    def _kept(self) -> Any:
        with OutboundClient() as client:
            return client.get(f"{self.url}/simulator/receivers/received").json()

    def received(self, receiver: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._kept()["received"]
        return [one for one in found if not receiver or one["receiver"] == receiver]

    def incidents(self) -> dict[str, Any]:
        """PagerDuty's, by dedup key."""
        found: dict[str, Any] = self._kept()["incidents"]
        return found

    @property
    def slack(self) -> str:
        return f"{self.url}/slack/services/T0/B0/abcdefgh"

    @property
    def pagerduty(self) -> str:
        return f"{self.url}/pagerduty"

    @property
    def webhook(self) -> str:
        return f"{self.url}/webhook/one-token"

    @property
    def teams(self) -> str:
        return f"{self.url}/workflows/abcdef/triggers/manual/paths/invoke?api-version=2016-06-01&sig=Zyxw-987"

    @property
    def discord(self) -> str:
        return f"{self.url}/discord/api/webhooks/123456/token-abcd"


@pytest.fixture(scope="session")
def _receivers_url() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture
def receivers(_receivers_url: str) -> Iterator[Receivers]:
    """Receivers that this LLMLab may call, well and with nothing received."""
    with override_settings(LLMLAB_OUTBOUND_ALLOW=[_receivers_url.removeprefix("http://")]):
        found = Receivers(_receivers_url)
        found.faults()
        found.forget()
        yield found
