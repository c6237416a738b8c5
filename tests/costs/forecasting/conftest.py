"""The numbers are worked out in this process: loading statsmodels anew for each job takes three seconds. That they
run in a process of their own is test_numbers' matter."""

import json
from typing import Any

import pytest

from costs.forecasting import process, run


@pytest.fixture(autouse=True)
def _in_this_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(series: Any) -> dict[str, Any]:
        found = {one["key"]: run.one(one) for one in json.loads(json.dumps(list(series)))}
        return dict(json.loads(json.dumps(found)))

    if "own_process" not in request.fixturenames:
        monkeypatch.setattr(process, "fit", fit)


@pytest.fixture
def own_process() -> None:
    """For the tests of the process itself."""
