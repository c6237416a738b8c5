/** Runs the program's own functions inside a step: sync, async, generators. What they return or throw is theirs. */

import type { ContextStore, Scope } from "./context.js";
import type { Span } from "./span.js";

/** Runs `work` in the scope; the step ends when it returned, its promise settled, or its generator is exhausted. */
export function runInSpan<T>(store: ContextStore, scope: Scope, span: Span, work: () => T): T {
  let result: T;
  try {
    result = store.run(scope, work);
  } catch (error) {
    span.fail(error).end();
    throw error;
  }
  if (isThenable(result)) return settled(result, span) as T;
  if (isGenerator(result)) return (Symbol.asyncIterator in result ? asyncSteps(store, scope, span, result as never) : steps(store, scope, span, result as never)) as T;
  finish(span, result);
  return result;
}

function finish(span: Span, result: unknown): void {
  if (result !== undefined && span.lacksOutput) span.update({ output: result });
  span.end();
}

async function settled(result: PromiseLike<unknown>, span: Span): Promise<unknown> {
  try {
    const value = await result;
    if (isGenerator(value)) {
      span.end();
      return value;
    }
    finish(span, value);
    return value;
  } catch (error) {
    span.fail(error).end();
    throw error;
  }
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  try {
    return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
  } catch {
    return false; // a proxy that throws
  }
}

function isGenerator(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  try {
    const tag = (value as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag];
    return tag === "Generator" || tag === "AsyncGenerator";
  } catch {
    return false;
  }
}

/** What came out of a generator, as far as it is kept. */
class Collected {
  private items: unknown[] = [];

  add(item: unknown): void {
    if (this.items.length < 1000) this.items.push(item);
  }

  /** Texts are what streams are mostly made of. */
  get value(): unknown {
    return this.items.length && this.items.every((item) => typeof item === "string") ? this.items.join("") : this.items;
  }
}

function steps(store: ContextStore, scope: Scope, span: Span, inner: Generator): Generator {
  const collected = new Collected();
  return (function* () {
    let next: IteratorResult<unknown> | undefined;
    try {
      for (let sent: unknown; ; ) {
        next = store.run(scope, () => inner.next(sent));
        if (next.done) {
          finish(span, next.value ?? collected.value);
          return next.value;
        }
        collected.add(next.value);
        sent = yield next.value;
      }
    } catch (error) {
      span.fail(error).end();
      throw error;
    } finally {
      if (!span.isEnded) {
        store.run(scope, () => inner.return(undefined));
        finish(span, collected.value);
      }
    }
  })();
}

function asyncSteps(store: ContextStore, scope: Scope, span: Span, inner: AsyncGenerator): AsyncGenerator {
  const collected = new Collected();
  return (async function* () {
    try {
      for (let sent: unknown; ; ) {
        const next = await store.run(scope, () => inner.next(sent));
        if (next.done) {
          finish(span, next.value ?? collected.value);
          return next.value;
        }
        collected.add(next.value);
        sent = yield next.value;
      }
    } catch (error) {
      span.fail(error).end();
      throw error;
    } finally {
      if (!span.isEnded) {
        await store.run(scope, () => inner.return(undefined));
        finish(span, collected.value);
      }
    }
  })();
}
