"""The callback: chains, tools, retrievers and models of LangChain and LangGraph become steps.

A model's run is a step of type "chain" around the call that the provider's client makes, which is recorded where it
happens, with what was really sent. Only when no client that we record is below (a model served in the process, say)
the run itself is the call.
"""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from llmlab.context import activate, deactivate
from llmlab.instruments.langchain_runs import answer_fields, is_fault, name_of, request_fields
from llmlab.instruments.recording import watchers

if TYPE_CHECKING:
    from llmlab.client import LLMLab
    from llmlab.step import Step

_Base: Any = import_module("langchain_core.callbacks").BaseCallbackHandler
_HIDDEN = "langsmith:hidden"
# Runs whose end never comes are forgotten beyond this many.
MAX_RUNS = 10_000


class _Run:
    """An open run."""

    __slots__ = (
        "calls", "first_token_at", "given", "request", "started_at", "step", "token", "watching",
    )  # fmt: skip

    def __init__(self, step: Step) -> None:
        self.step = step
        self.token: contextvars.Token[Any] | None = None
        self.watching: contextvars.Token[Any] | None = None
        # Calls of providers' clients that were recorded below.
        self.calls = 0
        self.given: Any = None
        self.request: dict[str, Any] = {}
        self.started_at = time.perf_counter()
        self.first_token_at = 0.0

    def called(self) -> None:
        self.calls += 1


class LLMLabCallback(_Base):  # type: ignore[misc]
    """Give it to `callbacks`, or let `llm.instrument()` set it up for every run."""

    # Also for async runs in the task that runs them: the steps below find their parent in its context.
    run_inline = True

    def __init__(self, client: Callable[[], LLMLab | None] | LLMLab | None = None) -> None:
        super().__init__()
        self._client = client
        self._runs: dict[Any, _Run] = {}
        # Runs that are not shown stand for the run around them.
        self._hidden: dict[Any, Any] = {}

    def _on(self) -> LLMLab | None:
        client = self._client
        if client is None:
            from llmlab.client import current_client

            client = current_client()
        found = client() if callable(client) else client
        return found if found is not None and found.is_on else None

    def _start(
        self, kind: str, name: str, run_id: Any, parent_id: Any, **fields: Any
    ) -> _Run | None:
        client = self._on()
        if client is None:
            return None
        parent = self._runs.get(self._hidden.get(parent_id, parent_id))
        if parent is None:
            step = client.start_step(name, kind, fields=fields)
        else:
            step = client.start_step(name, kind, parent=parent.step, fields=fields)
        run = self._runs[run_id] = _Run(step)
        run.token = activate(step)
        if len(self._runs) > MAX_RUNS:
            self._runs.pop(next(iter(self._runs)), None)
        return run

    def _end(self, run_id: Any, error: BaseException | None = None, **fields: Any) -> None:
        self._hidden.pop(run_id, None)
        run = self._runs.pop(run_id, None)
        client = self._on()
        if run is None:
            return
        if run.watching is not None:
            _reset(run.watching)
        if run.token is not None:
            deactivate(run.token)
        if client is not None:
            fault = error if error is not None and is_fault(error) else None
            client.end_step(run.step, fields=fields, error=fault)

    # -- chains, tools, retrievers -------------------------------------------------------------

    def on_chain_start(
        self,
        serialized: Any,
        inputs: Any,
        *,
        run_id: Any,
        parent_run_id: Any = None,
        tags: Any = None,
        **kwargs: Any,
    ) -> None:
        if tags and _HIDDEN in tags:
            self._hidden[run_id] = self._hidden.get(parent_run_id, parent_run_id)
            return
        name = name_of(serialized, kwargs, "chain")
        self._start("chain", name, run_id, parent_run_id, input=inputs)

    def on_chain_end(self, outputs: Any, *, run_id: Any, **kwargs: Any) -> None:
        self._end(run_id, output=outputs)

    def on_chain_error(self, error: BaseException, *, run_id: Any, **kwargs: Any) -> None:
        self._end(run_id, error)

    def on_tool_start(
        self,
        serialized: Any,
        input_str: str,
        *,
        run_id: Any,
        parent_run_id: Any = None,
        inputs: Any = None,
        **kwargs: Any,
    ) -> None:
        name = name_of(serialized, kwargs, "tool")
        given = input_str if inputs is None else inputs
        self._start("tool", name, run_id, parent_run_id, input=given)

    def on_tool_end(self, output: Any, *, run_id: Any, **kwargs: Any) -> None:
        self._end(run_id, output=output)

    def on_tool_error(self, error: BaseException, *, run_id: Any, **kwargs: Any) -> None:
        self._end(run_id, error)

    def on_retriever_start(
        self,
        serialized: Any,
        query: str,
        *,
        run_id: Any,
        parent_run_id: Any = None,
        **kwargs: Any,
    ) -> None:
        name = name_of(serialized, kwargs, "retriever")
        self._start("retriever", name, run_id, parent_run_id, input=query)

    def on_retriever_end(self, documents: Any, *, run_id: Any, **kwargs: Any) -> None:
        self._end(run_id, output=documents)

    def on_retriever_error(self, error: BaseException, *, run_id: Any, **kwargs: Any) -> None:
        self._end(run_id, error)

    # -- models --------------------------------------------------------------------------------

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        given = messages[0] if messages and len(messages) == 1 else messages
        self._model_start(serialized, given, **kwargs)

    def on_llm_start(self, serialized: Any, prompts: Any, **kwargs: Any) -> None:
        given = prompts[0] if prompts and len(prompts) == 1 else prompts
        self._model_start(serialized, given, **kwargs)

    def _model_start(
        self,
        serialized: Any,
        given: Any,
        *,
        run_id: Any,
        parent_run_id: Any = None,
        metadata: Any = None,
        **kwargs: Any,
    ) -> None:
        run = self._start("chain", name_of(serialized, kwargs, "model"), run_id, parent_run_id)
        if run is not None:
            run.given = given
            run.request = request_fields(metadata or {}, kwargs.get("invocation_params") or {})
            run.watching = watchers.set(run.called)

    def on_llm_new_token(self, token: Any, *, run_id: Any, **kwargs: Any) -> None:
        run = self._runs.get(run_id)
        if run is not None and not run.first_token_at and token:
            run.first_token_at = time.perf_counter()

    def on_llm_end(self, response: Any, *, run_id: Any, **kwargs: Any) -> None:
        run = self._runs.get(run_id)
        self._end(run_id, **self._call(run, answer_fields(response)))

    def on_llm_error(self, error: BaseException, *, run_id: Any, **kwargs: Any) -> None:
        self._end(run_id, error, **self._call(self._runs.get(run_id), {}))

    def _call(self, run: _Run | None, answer: dict[str, Any]) -> dict[str, Any]:
        """The fields of a run that is the call itself; it becomes one by this."""
        if run is None or run.calls:
            return {}
        run.step.type = "llm"
        fields = {**run.request, "input": run.given, **answer}
        if run.first_token_at:
            waited = run.first_token_at - run.started_at
            fields["time_to_first_token_ms"] = round(waited * 1000, 1)
        return fields


def _reset(token: contextvars.Token[Any]) -> None:
    try:
        watchers.reset(token)
    except (ValueError, RuntimeError):
        pass  # ended in another context than it began
