"""The client: what a program and the instruments hold.

For those who record (decorators, instruments), all that is needed:

    step = client.start_step("chat", "llm", fields={"request_model": "gpt-5"})
    token = activate(step)          # llmlab.context; only when something may start below it
    …
    client.end_step(step, fields={…}, late=callable, error=exception)

- `start_step` and `end_step` never raise and never wait. `client.check_budget()` is the one call
  that raises (`BudgetExceeded`): call it, or await `check_budget_async()`, before the request is
  sent and outside whatever catches everything.
- `late` (and `early`, for the announcement of a running step) run in the background thread and
  answer fields: parse bytes there, not in the caller. Their fields win over those set before; they
  may also answer "name", "type", "status", "error" and "attributes". Pass `late_size`, the bytes
  they hold on to, so that memory stays bounded.
- Times: pass `started_ns`/`ended_ns` (time.time_ns()) only when they differ from now.
- `client.settings` has what instruments need: `capture_content`, `drain_seconds`, `stream_usage`.
- `client.is_on` is false without key or project, with enabled=False and after `shutdown`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Union

from llmlab import endings
from llmlab.budgets import Budget, BudgetExceeded, check, check_async
from llmlab.config import Settings, logger
from llmlab.context import current_budget, here
from llmlab.delivery import Delivery, Exporter
from llmlab.ids import new_step_id, new_trace_id
from llmlab.propagation import Remote
from llmlab.sampling import is_sampled
from llmlab.server_budgets import ServerBudget, ServerBudgets
from llmlab.snapshot import snapshot, text_of, words_of
from llmlab.step import Late, Step, TraceState

Parent = Union[Step, Remote, None]
Fault = Union[BaseException, Mapping[str, Any], str, None]
# "whatever is current here", as opposed to None: no parent, a new trace.
HERE = Remote("", "", True)
CALLS = frozenset(("llm", "embedding"))
# The newest last; module-level functions use it.
clients: list[LLMLab] = []
_making = threading.RLock()


class LLMLab:
    """Records steps and delivers them in the background. Settings: see the README's table."""

    def __init__(
        self,
        api_key: str | None = None,
        project: str | None = None,
        *,
        exporter: Exporter | None = None,
        **settings: Any,
    ) -> None:
        self.settings = Settings(api_key=api_key, project=project, **settings)
        self.delivery = Delivery(self.settings, exporter)
        self.server_budgets = ServerBudgets(self.settings)
        clients.append(self)
        self._say_why_off(exporter)
        endings.watch(_shut_down_all, _flush_all)

    def _say_why_off(self, exporter: Exporter | None) -> None:
        settings = self.settings
        if exporter is not None or not settings.enabled:
            return
        missing = [name for name in ("api_key", "project") if not getattr(settings, name)]
        if missing:
            names = " and ".join(f"LLMLAB_{name.upper()}" for name in missing)
            logger.warning("LLMLab: %s missing: nothing is recorded.", names)

    @property
    def is_on(self) -> bool:
        """Whether what is recorded goes anywhere."""
        return self.delivery.is_on

    # -- recording ---------------------------------------------------------------------------

    def start_step(
        self,
        name: str,
        type: str = "span",
        *,
        parent: Parent = HERE,
        fields: Mapping[str, Any] | None = None,
        early: Late | None = None,
        started_ns: int = 0,
        capture: bool = True,
    ) -> Step:
        """A running step below `parent` (default: the current one; None: a trace of its own).

        It does not become the current one: see `llmlab.context.activate`. Never raises.
        """
        if name.__class__ is not str or type.__class__ is not str:
            name, type = text_of(name), text_of(type)
        above = here() if parent is HERE else parent
        if above.__class__ is Step:
            trace, parent_id, is_root = above.trace, above.id, False
            capture = capture and above.capture
        else:
            trace, parent_id = self._open_trace(above)  # type: ignore[arg-type]
            is_root = True
        # A given start has no clock of its own: its end is read from the wall clock.
        clock = 0 if started_ns else time.perf_counter_ns()
        step = Step(
            trace, new_step_id(), parent_id, name, type, started_ns or time.time_ns(), clock
        )
        step.capture = capture
        step.early = early
        step.budget = current_budget.get() if type in CALLS else None
        if is_root:
            trace.root = step
            trace.name = name
        if fields:
            self.fill(step, fields)
        self.delivery.opened(step)
        return step

    def end_step(
        self,
        step: Step,
        *,
        fields: Mapping[str, Any] | None = None,
        late: Late | None = None,
        late_size: int = 0,
        error: Fault = None,
        status: str = "",
        ended_ns: int = 0,
    ) -> None:
        """The step is over and on its way to the server. A second end is ignored. Never raises."""
        if step.ended_ns:
            return
        step.ended_ns = ended_ns or (
            step.started_ns + time.perf_counter_ns() - step.clock if step.clock else time.time_ns()
        )
        if fields:
            self.fill(step, fields)
        if error is not None:
            step.error = as_error(error)
        step.status = status or ("error" if step.error else "ok")
        if late is not None:
            step.late = late
            step.size += late_size
        self.delivery.add(step)

    def _open_trace(self, above: Remote | None) -> tuple[TraceState, str]:
        if above is not None and above.trace_id:
            state = TraceState(above.trace_id, sampled=above.sampled, parent_id=above.step_id)
            return state, above.step_id
        trace_id = new_trace_id()
        return TraceState(trace_id, sampled=is_sampled(trace_id, self.settings.sample_rate)), ""

    def fill(self, step: Step, fields: Mapping[str, Any]) -> None:
        """Set fields of an open step by their wire names; values are copied now. Never raises."""
        try:
            step.update(**fields)
        except Exception:
            logger.debug(
                "LLMLab: fields of the step %s could not be read", step.name, exc_info=True
            )

    def score(
        self,
        name: str,
        value: Any,
        *,
        reason: str | None = None,
        comment: str | None = None,
        trace_id: str | None = None,
        step_id: str | None = None,
        session: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        id: str | None = None,
        source: str | None = None,
    ) -> str:
        """Judge a trace (default: the current one), one step of it or a session; answers the score's
        id, with which it can be corrected later. `comment` is another word for `reason`.
        """
        score_id = id or new_trace_id()
        step = here()
        if trace_id is None and session is None:
            if step is None:
                logger.warning(
                    "LLMLab: score %r names no trace and there is none here: give trace_id or session.",
                    name,
                )
                return score_id
            if isinstance(step, Step) and not step.trace.sampled:
                return score_id  # its trace is not kept
            trace_id = step.trace_id
        fields = {
            "id": score_id,
            "trace_id": trace_id,
            "span_id": step_id,
            "session": session,
            "name": text_of(name),
            "value": value,
            "reason": reason if reason is not None else comment,
            "source": source,
            "environment": self.settings.environment or None,
            "metadata": metadata,
        }
        copied, size = snapshot({key: item for key, item in fields.items() if item is not None})
        self.delivery.add_score(copied, size)
        return score_id

    def update_trace(
        self,
        step: Step,
        *,
        user: str | None = None,
        session: str | None = None,
        tags: Iterable[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        """Set what holds for the whole trace of this step; tags and metadata are added to."""
        trace = step.trace
        if user is not None:
            trace.user = text_of(user)
        if session is not None:
            trace.session = text_of(session)
        if tags is not None:
            trace.tags = tuple(dict.fromkeys((*trace.tags, *words_of(tags))))
        if metadata is not None:
            copied, size = snapshot(metadata)
            if isinstance(copied, dict):
                trace.metadata = {**trace.metadata, **copied}
                step.size += size
            else:
                logger.debug("LLMLab: metadata must be a mapping, not %s", type(metadata).__name__)
        if name is not None:
            trace.name = text_of(name)
        trace.version += 1

    # -- budgets -----------------------------------------------------------------------------

    def budget(self, usd: Any, *, on_unknown: str = "allow", timeout: float = 2.0) -> Budget:
        """A context in which calls may cost this much together; the next one raises BudgetExceeded.

        `on_unknown`: what to do when the cost so far cannot be known ("allow" or "block").
        """
        return Budget(self, usd, on_unknown=on_unknown, timeout=timeout)

    def budgets(self) -> list[ServerBudget] | None:
        """The budgets set in LLMLab that calls of this project may count towards, strictest first.

        Asks the server now, at most `timeout` seconds. When it is away: what it said last, None if it never answered.
        """
        return self.server_budgets.read()

    def check_budget(self, model: str = "") -> None:
        """Raises BudgetExceeded when the current budget is spent, or with `server_budgets` one of LLMLab's that counts
        the call. Call before a request is sent.
        """
        if self.settings.server_budgets:
            self._refuse_if_blocked(model)
        if current_budget.get() is not None:
            check()

    async def check_budget_async(self, model: str = "") -> None:
        """The same without holding up the event loop while costs are asked for."""
        if self.settings.server_budgets:
            self._refuse_if_blocked(model)
        if current_budget.get() is not None:
            await check_async()

    def _refuse_if_blocked(self, model: str) -> None:
        """By what the server last said: never waits."""
        if not self.is_on:
            return
        step = here()
        user, tags = (step.trace.user, step.trace.tags) if isinstance(step, Step) else ("", ())
        found = self.server_budgets.refusing(user, model if isinstance(model, str) else "", tags)
        if found is not None:
            raise BudgetExceeded(
                f"The budget {found.name!r} of LLMLab is spent (${found.spent_usd} of ${found.amount_usd}) until"
                f" {found.resets_at:%Y-%m-%d %H:%M} UTC. The call was not sent.",
                limit_usd=found.amount_usd,
                spent_usd=found.spent_usd,
                name=found.name,
            )

    # -- instruments -------------------------------------------------------------------------

    def instrument(self, *names: str) -> list[str]:
        """Record the calls of the installed libraries (all known, or those named); answers which."""
        from llmlab.instruments import instrument

        return instrument(self, *names)

    def uninstrument(self, *names: str) -> None:
        """Give the libraries their own functions back."""
        from llmlab.instruments import uninstrument

        uninstrument(*names)

    def otel_exporter(self) -> Any:
        """A span exporter of OpenTelemetry that sends to this client's project.

        Raises ImportError, with what to install, when OpenTelemetry's OTLP exporter is missing.
        """
        from llmlab.instruments.otel import otel_exporter

        return otel_exporter(self)

    def instrument_otel(self, provider: Any = None) -> Any:
        """Send OpenTelemetry's spans here, in one trace with the steps; answers the tracer provider.

        For LlamaIndex and all that has an OpenTelemetry or OpenInference instrumentation. Without a provider: the
        program's, or a new one. Raises ImportError when OpenTelemetry's SDK is missing.
        """
        from llmlab.instruments.otel import instrument_otel

        return instrument_otel(self, provider)

    # -- delivery ----------------------------------------------------------------------------

    def flush(self, timeout: float = 10.0) -> bool:
        """Send what waits; true when the server acknowledged all of it in time."""
        return self.delivery.flush(timeout)

    async def aflush(self, timeout: float = 10.0) -> bool:
        """`flush` without holding up the event loop."""
        import asyncio

        return await asyncio.get_running_loop().run_in_executor(None, self.flush, timeout)

    def shutdown(self, timeout: float = 5.0) -> bool:
        """Flush, then stop for good; what could not be sent stays in the spool or is told as lost."""
        done = self.delivery.shutdown(timeout)
        if self in clients:
            clients.remove(self)
        return done

    def stats(self) -> dict[str, int]:
        """Counts since the start: recorded, sent, dropped, rejected, lost, …"""
        return self.delivery.stats()

    def __enter__(self) -> LLMLab:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()


def as_error(fault: Fault) -> dict[str, str]:
    """`{"type", "message"}` of an exception, a mapping like it, or a sentence."""
    try:
        if isinstance(fault, BaseException):
            return {"type": type(fault).__name__, "message": str(fault)[:10_000]}
        if isinstance(fault, Mapping):
            return {
                "type": str(fault.get("type") or "error")[:200],
                "message": str(fault.get("message") or "")[:10_000],
            }
        return {"type": "error", "message": str(fault)[:10_000]}
    except Exception:
        return {"type": type(fault).__name__, "message": "[unreadable]"}


def current_client() -> LLMLab:
    """The newest client, else one made from the environment."""
    try:
        return clients[-1]
    except IndexError:
        with _making:
            return clients[-1] if clients else LLMLab()


def _shut_down_all(timeout: float) -> None:
    """At exit."""
    _each(lambda client: client.shutdown(timeout))


def _flush_all(timeout: float) -> None:
    """On a signal."""
    _each(lambda client: client.flush(timeout))


def _each(act: Callable[[LLMLab], object]) -> None:
    for client in list(clients):
        try:
            act(client)
        except Exception:
            logger.debug("LLMLab: not everything could be sent at the end", exc_info=True)
