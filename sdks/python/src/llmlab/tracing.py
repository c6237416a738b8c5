"""`trace`, `span`, `generation`, `tool`, `retrieval`: decorators and context managers in one.

@trace                                   with trace("answer", user="u1") as step: ...
@trace(name="answer", tags=["support"])  async with span("search", type="retrieval"): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from llmlab.budgets import Budget
from llmlab.client import CALLS, LLMLab, current_client
from llmlab.config import logger
from llmlab.context import activate, current_step, deactivate
from llmlab.snapshot import text_of, words_of
from llmlab.step import Step
from llmlab.wrapping import wrap

if TYPE_CHECKING:
    import contextvars

    from llmlab.propagation import Remote

F = TypeVar("F", bound=Callable[..., Any])


class Recorder:
    """One described step: decorate with it, or enter it. May be entered many times, also nested."""

    __slots__ = (
        "_entered",
        "capture",
        "client",
        "fields",
        "metadata",
        "name",
        "session",
        "tags",
        "type",
        "user",
    )

    def __init__(
        self,
        name: str | None,
        kind: str,
        *,
        user: str | None = None,
        session: str | None = None,
        tags: Iterable[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        capture: bool = True,
        client: LLMLab | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.type = kind
        self.user = user
        self.session = session
        self.tags = words_of(tags)
        self.metadata = metadata
        self.capture = capture
        self.client = client
        self.fields = fields
        self._entered: dict[Step, tuple[LLMLab, contextvars.Token[Step | Remote | None]]] = {}

    @property
    def model(self) -> str:
        """The model a call names before it is made, or ""."""
        fields = self.fields or {}
        named = fields.get("request_model") or fields.get("model")
        return named if isinstance(named, str) else ""

    def __call__(self, function: F) -> F:
        """Every call of the function is a step: arguments are its input, the result its output."""
        return wrap(self, function)

    def __enter__(self) -> Step:
        client = self.client or current_client()
        if self.type in CALLS:
            client.check_budget(self.model)
        return self._enter(client)

    async def __aenter__(self) -> Step:
        client = self.client or current_client()
        if self.type in CALLS:
            await client.check_budget_async(self.model)
        return self._enter(client)

    def _enter(self, client: LLMLab) -> Step:
        step = self.open(client, self.name or self.type)
        self._entered[step] = (client, activate(step))
        return step

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Several threads or tasks may have entered this one: ours is the current step, unless
        # something inside was left open.
        step = current_step()
        if step is None or step not in self._entered:
            step = next(reversed(self._entered))
        client, token = self._entered.pop(step)
        deactivate(token)
        client.end_step(step, error=error)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def open(self, client: LLMLab, name: str, given: Any = None) -> Step:
        """Start the step; it is not the current one yet. `given` is its input."""
        fields = self.fields
        if given is not None:
            fields = {"input": given, **(fields or {})}
        step = client.start_step(self.name or name, self.type, fields=fields, capture=self.capture)
        if self.user or self.session or self.tags or self.metadata:
            self._describe(client, step)
        return step

    def _describe(self, client: LLMLab, step: Step) -> None:
        """Facts of the trace where the step opens it, else the step's own."""
        facts = {
            "user": self.user,
            "session": self.session,
            "tags": self.tags,
            "metadata": self.metadata,
        }
        known = {name: value for name, value in facts.items() if value}
        if step.is_root:
            client.update_trace(step, **known)  # type: ignore[arg-type]
        else:
            client.fill(step, known)


class Opener:
    """What `trace`, `span` and the others are: they differ in the type of step they make.

    `type` is one of span, agent, chain, tool, retrieval, rerank, guardrail, evaluator, llm,
    embedding. `user`, `session`, `tags` and `metadata` hold for the whole trace when the step opens
    one. `capture=False` keeps the contents of this step and of everything below it out of the
    record. Other keywords are fields of the step: `model`, `provider`, `usage`, `input`, ….
    """

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind

    @overload
    def __call__(self, name: F, /) -> F: ...

    @overload
    def __call__(
        self,
        name: str | None = None,
        *,
        type: str = "",
        user: str | None = None,
        session: str | None = None,
        tags: Iterable[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        capture: bool = True,
        client: LLMLab | None = None,
        **fields: Any,
    ) -> Recorder: ...

    def __call__(
        self,
        name: Any = None,
        *,
        type: str = "",
        user: str | None = None,
        session: str | None = None,
        tags: Iterable[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        capture: bool = True,
        client: LLMLab | None = None,
        **fields: Any,
    ) -> Any:
        # classmethod objects are not callable, staticmethod ones only since Python 3.10
        is_function = callable(name) or isinstance(name, (classmethod, staticmethod))
        function = name if is_function and not isinstance(name, str) else None
        recorder = Recorder(
            None if function is not None or name is None else text_of(name),
            text_of(type) or self.kind,
            user=user,
            session=session,
            tags=tags,
            metadata=metadata,
            capture=capture,
            client=client,
            fields=fields or None,
        )
        return recorder if function is None else recorder(function)


# Outside any step each of them opens a trace; inside one it is a step below the current one.
trace = Opener("agent")
span = Opener("span")
generation = Opener("llm")
tool = Opener("tool")
retrieval = Opener("retrieval")


def update_current(
    *,
    user: str | None = None,
    session: str | None = None,
    tags: Iterable[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    name: str | None = None,
    **fields: Any,
) -> None:
    """Add to what is known here: user, session, tags and metadata of the trace; everything else
    (`input`, `output`, `model`, `usage`, `prompt_version`, …) of the current step.
    """
    step = current_step()
    if step is None:
        logger.debug("LLMLab: update_current outside any step changes nothing")
        return
    client = current_client()
    if name is not None:
        step.name = text_of(name)
    client.update_trace(
        step,
        user=user,
        session=session,
        tags=tags,
        metadata=metadata,
        name=name if step.is_root else None,
    )
    if fields:
        client.fill(step, fields)


def score(name: str, value: Any, **about: Any) -> str:
    """Judge the current trace, or what `trace_id`, `step_id` or `session` name: see LLMLab.score."""
    return current_client().score(name, value, **about)


def budget(usd: Any, *, on_unknown: str = "allow", timeout: float = 2.0) -> Budget:
    """What the calls inside may cost together: see LLMLab.budget."""
    return current_client().budget(usd, on_unknown=on_unknown, timeout=timeout)
