"""How targets do: circuit breakers per connection and model, and how long they take, shared by Redis (lua/health_*).

A circuit opens on 5 failures in a row, or when half of at least 20 calls in 30 s failed; time-outs, 5xx and broken
connections are failures, 429 is counted apart. After `OPEN_S` one call probes; its success closes the circuit. What
Redis does not say is closed: without Redis every target may be tried.
"""

import asyncio
import logging
import time
from typing import Any, Literal

import msgspec
from redis.exceptions import RedisError

from core.heartbeats import redis_client
from gateway.queues.line import Runner
from gateway.queues.link import script
from gateway.structs import Attempt, Call, Target

logger = logging.getLogger(__name__)

OPEN_S = 15.0
# A probe that has not reported by then is taken for lost.
PROBE_S = 60.0
REFRESH_S = 0.5
# Answers wait so long to be told of together; failures do not wait.
GATHER_S = 0.2
MAX_GATHERED = 2_000
# Medians older than this say nothing (as in health_report.lua).
FRESH_S = 600.0

Standing = Literal["closed", "open", "half_open"]
Place = tuple[str, str]  # connection, model
# kind, began at, ms, s|w, why, seconds to rest
_Report = tuple[str, float, float, str, str, float]


class Circuit(msgspec.Struct, frozen=True):
    """A circuit that is not closed; times by this machine's clock."""

    opened_at: float  # last: a failed probe opens it again
    since: float
    probing_until: float
    why: str


class Figures(msgspec.Struct, frozen=True):
    """A target's last half minute of traffic, and its medians."""

    at: float
    answered: int = 0
    failed: int = 0
    limited: int = 0
    stream_ms: float | None = None  # to the first token
    whole_ms: float | None = None


class HealthView:
    """What a process knows of the targets' health; half a second old at most while Redis answers."""

    __slots__ = ("circuits", "figures", "rests")

    def __init__(
        self,
        circuits: dict[Place, Circuit] | None = None,
        figures: dict[Place, Figures] | None = None,
        rests: dict[Place, float] | None = None,
    ) -> None:
        self.circuits = circuits if circuits is not None else {}
        self.figures = figures if figures is not None else {}
        # Until when targets take nothing: their providers said so.
        self.rests = rests if rests is not None else {}

    def standing(self, connection: str, model: str, now: float) -> Standing:
        """`half_open`: one call may probe; while that is under way, and before, it is `open`."""
        circuit = self.circuits.get((connection, model)) if self.circuits else None
        if circuit is None:
            return "closed"
        if now < circuit.opened_at + OPEN_S or now < circuit.probing_until:
            return "open"
        return "half_open"

    def rests_for(self, connection: str, model: str, now: float) -> float:
        """Seconds until the target takes calls again, as its provider said; 0: it does."""
        until = self.rests.get((connection, model), 0.0) if self.rests else 0.0
        return max(0.0, until - now)

    def hardness(self, connection: str, model: str, now: float) -> tuple[bool, float]:
        """Orders targets none of which is fit: those that only rest go first, the soonest free; then broken ones, the
        first opened."""
        if self.standing(connection, model, now) == "open":
            return True, self.circuits[connection, model].opened_at
        return False, self.rests_for(connection, model, now)

    def median_ms(
        self, connection: str, model: str, *, is_stream: bool, now: float
    ) -> float | None:
        """The recent median: to the first token of streams, of all of other answers."""
        found = self.figures.get((connection, model))
        if found is None or now - found.at > FRESH_S:
            return None
        return found.stream_ms if is_stream else found.whole_ms


HEALTHY = HealthView()


def outcome_of(attempt: Attempt) -> str:
    """What an attempt says of its target: `o` it works, `f` it fails, `l` it limits us, empty: nothing."""
    error = attempt.error
    if error in ("cancelled", "not_found"):
        return ""
    if error == "rate_limit":
        return "l"
    if error == "timeout" or (error == "error" and not 400 <= attempt.status < 500):
        return "f"
    return "o"


class Health:
    """One process's share: `view` to decide by, `report` what happened, `claim` a probe. Lives in one event loop."""

    def __init__(self, runner: Runner) -> None:
        self.view = HealthView()
        self._runner = runner
        self._told: dict[Place, list[_Report]] = {}
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read now, and from now on every half second."""
        await self.refresh()
        self._watch = asyncio.ensure_future(self._watching())

    async def stop(self) -> None:
        """Tell what is still untold, and read no more."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        await self._tell()
        await asyncio.gather(*self._tasks)

    async def refresh(self) -> None:
        """Read all circuits and figures; when Redis does not answer all are closed."""
        try:
            self.view = view_of(await self._runner.run("health_read", 0), time.time())
        except (RedisError, OSError):
            if self.view.circuits:
                logger.warning("gateway.health.unknown")
            self.view = HealthView()

    async def claim(self, target: Target) -> bool:
        """Whether this call may be the probe of a half-open circuit. At most one at a time of all processes may."""
        place = (target.connection, target.model)
        try:
            clock, may, held = await self._runner.run(
                "health_probe", 0, _field(place), int(OPEN_S * 1000), int(PROBE_S * 1000)
            )
        except (RedisError, OSError):
            return True
        self._hold(place, held, clock)
        return bool(may)

    def report(self, call: Call, attempt: Attempt) -> None:
        """Tell how an attempt went, soon and together with others; never waits."""
        kind = outcome_of(attempt)
        if not kind or self._count >= MAX_GATHERED:
            return
        took, how = -1.0, "s" if call.is_stream else "w"
        if kind == "o" and not attempt.error:
            end = (attempt.first_token_at if call.is_stream else 0.0) or attempt.ended_at
            took = max(0.0, end - attempt.began_at) * 1000
        place = (attempt.target.connection, attempt.target.model)
        why = _why(attempt) if kind == "f" else ""
        rest = attempt.rest_s if kind == "l" else 0.0
        if rest:
            self.view.rests[place] = time.time() + rest
        self._told.setdefault(place, []).append((kind, attempt.began_at, took, how, why, rest))
        self._count += 1
        self._tell_in(0.0 if kind == "f" or rest or place in self.view.circuits else GATHER_S)

    def _tell_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            if self._timer.when() <= loop.time() + seconds:
                return
            self._timer.cancel()
        self._timer = loop.call_later(seconds, self._tell_now)

    def _tell_now(self) -> None:
        self._timer = None
        task = asyncio.ensure_future(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self) -> None:
        told, self._told, self._count = self._told, {}, 0
        if not told:
            return
        now = time.time()
        batch = [
            (
                _field(place),
                [
                    (kind, max(0, int((now - at) * 1000)), ms, how, why, int(rest * 1000))
                    for kind, at, ms, how, why, rest in reports
                ],
            )
            for place, reports in told.items()
        ]
        try:
            clock, *held = await self._runner.run("health_report", 0, msgspec.json.encode(batch))
        except (RedisError, OSError) as error:
            logger.warning("gateway.health.untold: %s", type(error).__name__)
            return
        for field, text in zip(held[::2], held[1::2], strict=True):
            self._hold(_place(field), text, clock)

    def _hold(self, place: Place, text: bytes, clock: int) -> None:
        """Know at once what Redis says of one target."""
        if text:
            self.view.circuits[place] = _circuit(text, clock, time.time())
        else:
            self.view.circuits.pop(place, None)

    async def _watching(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            await self.refresh()


def read_health(*, now: float) -> HealthView:
    """The same for pages: read now by an ordinary client. Redis away: all closed, nothing measured."""
    try:
        with redis_client() as client:
            return view_of(client.eval(script("health_read").source, 1, "{gw}", 0), now)
    except RedisError:
        return HealthView()


def view_of(answer: Any, now: float) -> HealthView:
    """The view that health_read's answer gives."""
    clock, circuits, figures, rests = answer
    return HealthView(
        {_place(f): _circuit(text, clock, now) for f, text in _pairs(circuits)},
        {_place(f): _figures(text, clock, now) for f, text in _pairs(figures)},
        {_place(f): now + left / 1000 for f, left in _pairs(rests)},
    )


def _pairs(flat: list[bytes]) -> Any:
    return zip(flat[::2], flat[1::2], strict=True)


def _field(place: Place) -> str:
    return f"{place[0]}|{place[1]}"


def _place(field: bytes) -> Place:
    connection, _, model = field.decode().partition("|")
    return connection, model


def _circuit(text: bytes, clock: int, now: float) -> Circuit:
    """By this machine's clock: only durations cross machines."""
    held = msgspec.json.decode(text)
    return Circuit(
        opened_at=now - (clock - held["o"]) / 1000,
        since=now - (clock - held["s"]) / 1000,
        probing_until=now - (clock - held["p"]) / 1000 if held["p"] else 0.0,
        why=held["w"],
    )


def _figures(text: bytes, clock: int, now: float) -> Figures:
    held = msgspec.json.decode(text)
    return Figures(
        at=now - (clock - held["t"]) / 1000,
        answered=held["n"],
        failed=held["f"],
        limited=held["l"],
        stream_ms=_still(held, "s", clock),
        whole_ms=_still(held, "w", clock),
    )


def _still(held: dict[str, Any], how: str, clock: int) -> float | None:
    told_at = held.get(f"{how}t")
    if told_at is None or clock - told_at > FRESH_S * 1000:
        return None
    return held.get(how)


def _why(attempt: Attempt) -> str:
    """In a few words, without what the provider wrote: other calls' decisions quote it."""
    if attempt.error == "timeout":
        return "time-out"
    return f"status {attempt.status}" if attempt.status >= 500 else "connection broke"
