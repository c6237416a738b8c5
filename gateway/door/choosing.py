"""Where a call goes that no route names (pure): the first connection that serves the model and speaks a wire for it."""

from gateway.connections.providers import dialects_of, price_provider, serves
from gateway.dialects.facts import RequestFacts
from gateway.dialects.translate import can_translate
from gateway.door.answers import RefusalError
from gateway.snapshot import Snapshot
from gateway.structs import Decision, Dialect, RouteRules, Target


def choose(
    snapshot: Snapshot, facts: RequestFacts, *, dialect: Dialect
) -> tuple[Decision, RouteRules]:
    """Raises RefusalError when nobody serves the model."""
    if not snapshot.connections:
        text = "This project has no connection to a provider yet. An administrator adds one under Gateway, Connections."
        raise RefusalError(404, "model_not_found", text, param="model")
    for view in snapshot.connections.values():
        if not serves(view, facts.model):
            continue
        spoken = dialects_of(view.kind, view.settings)
        if dialect not in spoken and not any(can_translate(dialect, one) for one in spoken):
            continue
        because = f"{view.name} serves {facts.model}"
        target = Target(
            connection=view.id,
            kind=view.kind,
            model=facts.model,
            provider=price_provider(view),
            because=because,
        )
        return Decision(targets=(target,), because=because), RouteRules()
    text = f"The model {facts.model} does not exist here, or this project may not call it."
    raise RefusalError(404, "model_not_found", text, param="model")
