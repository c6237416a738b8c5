"""Routes by area: every module here but `access` may hold

- `ROUTES`: route → method → who may (tests.matrix.access),
- `PARAMETERS`: a parameter's name in routes → its value in the world,
- `extend(world)`: what the area's routes need to exist; called at the end of `tests.world.make_world`.
"""

import importlib
import pkgutil
from types import ModuleType


def areas() -> list[ModuleType]:
    """The areas' modules, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [importlib.import_module(f"{__name__}.{name}") for name in names if name != "access"]
