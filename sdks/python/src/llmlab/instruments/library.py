"""What every instrumented library is to `instrument` and `uninstrument`."""

from __future__ import annotations

from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

from llmlab.instruments.imports import forget, when_imported

if TYPE_CHECKING:
    from llmlab.client import LLMLab


class Library:
    """A library by the name of its package; `module` is the one that is patched, once it is imported."""

    package = ""
    module = ""

    def __init__(self) -> None:
        # Whom calls are recorded for; None: nobody.
        self.client: LLMLab | None = None

    def install(self, client: LLMLab) -> bool:
        """Record for this client from now on; false when the library is not installed."""
        if find_spec(self.package) is None:
            return False
        self.client = client
        when_imported(self.module, self.patch)
        return True

    def remove(self) -> None:
        """Record no more; the library has its own functions back."""
        self.client = None
        forget(self.module)
        self.unpatch()

    def patch(self, module: ModuleType) -> None:
        """Put our functions around the library's; a second time does nothing."""
        raise NotImplementedError

    def unpatch(self) -> None:
        """Take them away again."""
        raise NotImplementedError
