"""Functions as steps: plain ones, coroutines, generators and async generators stay what they are.

A generator's step starts with its first item and ends when the generator does, also when the reader
stops early. While it runs, its step is current inside the generator only, never in its reader.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from llmlab.client import CALLS, LLMLab, current_client
from llmlab.config import logger
from llmlab.context import activate, current, deactivate
from llmlab.snapshot import snapshot
from llmlab.step import Step

if TYPE_CHECKING:
    from llmlab.tracing import Recorder

F = TypeVar("F", bound=Callable[..., Any])
_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200  # inspect.CO_*, without importing it
_MAX_YIELDED = 1_048_576  # bytes of what a generator yielded that are kept as its output
Opened = tuple[LLMLab, Step]


def wrap(recorder: Recorder, function: F) -> F:
    """The function, recorded; a class is left as it is."""
    if isinstance(function, (staticmethod, classmethod)):
        return cast(F, type(function)(wrap(recorder, function.__func__)))
    if isinstance(function, type):
        logger.warning(
            "LLMLab: classes are not recorded: decorate the methods of %s.", function.__name__
        )
        return function
    code = getattr(function, "__code__", None)
    flags = code.co_flags if code is not None else 0
    call = _Call(recorder, function)
    if flags & _GENERATOR:
        wrapped: Any = _generator(call)
    elif flags & _ASYNC_GENERATOR:
        wrapped = _async_generator(call.open, call.function)
    elif flags & _COROUTINE:
        wrapped = _coroutine(call)
    else:
        wrapped = _plain(call)
    return cast(F, functools.update_wrapper(wrapped, function))


class _Call:
    """One decorated function and how its calls become steps."""

    __slots__ = ("first", "function", "is_call", "name", "names", "recorder")

    def __init__(self, recorder: Recorder, function: Callable[..., Any]) -> None:
        self.recorder = recorder
        self.function = function
        self.name: str = getattr(function, "__name__", type(function).__name__)
        code = getattr(function, "__code__", None)
        self.names: tuple[str, ...] = code.co_varnames[: code.co_argcount] if code else ()
        # The object a method belongs to is not its input.
        self.first = 1 if self.names[:1] in (("self",), ("cls",)) else 0
        self.is_call = recorder.type in CALLS

    @property
    def client(self) -> LLMLab:
        return self.recorder.client or current_client()

    def check(self) -> None:
        """Raises BudgetExceeded before a model call whose budget is spent."""
        if self.is_call:
            self.client.check_budget(self.recorder.model)

    def open(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Opened | None:
        """Start the step of one call; None while the SDK is off."""
        client = self.client
        if not client.is_on:
            return None
        try:
            given = None
            if self.recorder.capture and client.settings.capture_content:
                given = self._input(args, kwargs)
            return client, self.recorder.open(client, self.name, given)
        except Exception:
            logger.warning("LLMLab: a call of %s is not recorded", self.name, exc_info=True)
            return None

    def _input(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
        """The arguments by name; those beyond the named ones together as `args`."""
        named = dict(zip(self.names[self.first :], args[self.first :]))
        rest = args[max(len(self.names), self.first) :]
        if rest:
            named["args"] = rest
        if kwargs:
            named.update(kwargs)
        return named or None


def keeps_content(client: LLMLab, step: Step) -> bool:
    """Whether what goes in and comes out may be recorded."""
    return step.capture and client.settings.capture_content


def _end(client: LLMLab, step: Step, result: Any) -> None:
    if result is not None and keeps_content(client, step):
        client.end_step(step, fields={"output": result} if "output" not in step.fields else None)
    else:
        client.end_step(step)


def _plain(call: _Call) -> Callable[..., Any]:
    function = call.function

    def recorded(*args: Any, **kwargs: Any) -> Any:
        call.check()
        opened = call.open(args, kwargs)
        if opened is None:
            return function(*args, **kwargs)
        client, step = opened
        token = activate(step)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            deactivate(token)
            client.end_step(step, error=error)
            raise
        deactivate(token)
        # A function that hands out something still to run: its step ends with that.
        if type(result) is GeneratorType:
            return _driven(opened, result)
        if type(result) is AsyncGeneratorType:
            return _async_generator(lambda _, __: opened, lambda: result)()
        if type(result) is CoroutineType:
            return _awaited(opened, result)
        _end(client, step, result)
        return result

    return recorded


def _coroutine(call: _Call) -> Callable[..., Any]:
    function = call.function

    async def recorded(*args: Any, **kwargs: Any) -> Any:
        if call.is_call:
            await call.client.check_budget_async(call.recorder.model)
        opened = call.open(args, kwargs)
        if opened is None:
            return await function(*args, **kwargs)
        return await _awaited(opened, function(*args, **kwargs))

    return recorded


async def _awaited(opened: Opened, coroutine: Coroutine[Any, Any, Any]) -> Any:
    client, step = opened
    token = activate(step)
    try:
        result = await coroutine
    except BaseException as error:
        deactivate(token)
        client.end_step(step, error=error)
        raise
    deactivate(token)
    _end(client, step, result)
    return result


def _generator(call: _Call) -> Callable[..., Any]:
    function = call.function

    def recorded(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        call.check()
        opened = call.open(args, kwargs)
        if opened is None:
            return (yield from function(*args, **kwargs))
        return (yield from _driven(opened, function(*args, **kwargs)))

    return recorded


def _driven(opened: Opened, body: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Run the body with its step current inside it, item by item."""
    client, step = opened
    yielded = _Yielded(keeps_content(client, step))
    inside: Any = step  # what was current in the body when it last yielded
    sent: Any = None
    thrown: BaseException | None = None
    try:
        while True:
            token = activate(inside)
            try:
                item = body.send(sent) if thrown is None else body.throw(thrown)
            except StopIteration as stop:
                if yielded.is_empty and stop.value is not None:
                    yielded.add(stop.value)
                return stop.value
            finally:
                inside = current.get()
                deactivate(token)
            yielded.add(item)
            thrown = None
            try:
                sent = yield item
            except GeneratorExit:
                _closed(body, inside)
                raise
            except BaseException as error:
                thrown, sent = error, None
    except GeneratorExit:
        client.end_step(step, fields=yielded.fields(step))
        raise
    except BaseException as error:
        client.end_step(step, fields=yielded.fields(step), error=error)
        raise
    finally:
        client.end_step(step, fields=yielded.fields(step))  # without effect where it ended already


def _closed(body: Generator[Any, Any, Any], inside: Any) -> None:
    token = activate(inside)
    try:
        body.close()
    finally:
        deactivate(token)


def _async_generator(
    opener: Callable[[tuple[Any, ...], dict[str, Any]], Opened | None],
    function: Callable[..., AsyncGenerator[Any, Any]],
) -> Callable[..., Any]:
    async def recorded(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        opened = opener(args, kwargs)
        body = function(*args, **kwargs)
        client, step = opened if opened is not None else (None, None)
        yielded = _Yielded(client is not None and step is not None and keeps_content(client, step))
        inside: Any = step
        sent: Any = None
        thrown: BaseException | None = None
        fault: BaseException | None = None
        try:
            while True:
                token = activate(inside) if step is not None else None
                try:
                    item = await (body.asend(sent) if thrown is None else body.athrow(thrown))
                except StopAsyncIteration:
                    return
                finally:
                    if token is not None:
                        inside = current.get()
                        deactivate(token)
                yielded.add(item)
                thrown = None
                try:
                    sent = yield item
                except GeneratorExit:
                    await body.aclose()
                    raise
                except BaseException as error:
                    thrown, sent = error, None
        except GeneratorExit:
            raise
        except BaseException as error:
            fault = error
            raise
        finally:
            if client is not None and step is not None:
                client.end_step(step, fields=yielded.fields(step), error=fault)

    return recorded


class _Yielded:
    """What a generator yielded, as its step's output: texts joined, else a list, bounded."""

    __slots__ = ("_items", "_left_out", "_room", "is_kept")

    def __init__(self, is_kept: bool) -> None:
        self.is_kept = is_kept
        self._items: list[Any] = []
        self._room = _MAX_YIELDED
        self._left_out = 0

    @property
    def is_empty(self) -> bool:
        return not self._items

    def add(self, item: Any) -> None:
        """Copied now: the reader may change it."""
        if not self.is_kept:
            return
        if self._room <= 0:
            self._left_out += 1
            return
        copied, size = snapshot(item)
        self._room -= size + 8
        self._items.append(copied)

    def fields(self, step: Step) -> dict[str, Any] | None:
        """The output, unless there is none or the program said one itself."""
        if not self._items or "output" in step.fields:
            return None
        output: Any = self._items
        if all(type(item) is str for item in output):
            output = "".join(output)
            if self._left_out:
                output += f"…[cut: {self._left_out} items]"
        elif self._left_out:
            output = [*output, f"[cut: {self._left_out} items]"]
        return {"output": output}
