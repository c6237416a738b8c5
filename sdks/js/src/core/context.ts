/** What surrounds a piece of running code: the open step, the budget, what is not to be recorded. */

import type { Budget } from "./budget.js";
import type { RemoteContext } from "./ids.js";
import type { LogicalCall } from "../instrument/logical.js";
import type { Span } from "./span.js";

export interface Scope {
  span?: Span | undefined;
  remote?: RemoteContext | undefined;
  budget?: Budget | undefined;
  /** False: what is said inside is not recorded, only that and when. */
  content?: boolean | undefined;
  /** True: nothing inside is recorded. */
  paused?: boolean | undefined;
  /** The client's call under way, for clients that give us no other way to know their retries. */
  call?: LogicalCall | undefined;
}

/** Carries the scope to everything that code starts: AsyncLocalStorage in Node. */
export interface ContextStore {
  get(): Scope | undefined;
  run<T>(scope: Scope, work: () => T): T;
}

/**
 * For browsers, which have nothing that follows asynchronous code: the scope holds until the function returned, or its
 * promise settled. Right for one trace at a time; work that runs beside it should be given its parent.
 */
export class StackStore implements ContextStore {
  private readonly stack: Scope[] = [];

  get(): Scope | undefined {
    return this.stack[this.stack.length - 1];
  }

  run<T>(scope: Scope, work: () => T): T {
    this.stack.push(scope);
    let result: T;
    try {
      result = work();
    } catch (error) {
      this.leave(scope);
      throw error;
    }
    if (result instanceof Promise) {
      const left = (): void => this.leave(scope);
      result.then(left, left);
    } else {
      this.leave(scope);
    }
    return result;
  }

  /** Scopes may end in another order than they began. */
  private leave(scope: Scope): void {
    const at = this.stack.lastIndexOf(scope);
    if (at >= 0) this.stack.splice(at, 1);
  }
}
