"""The running server and the simulated provider of the functional tests."""

from tests.functional.conftest import server, simulator

__all__ = ["server", "simulator"]
