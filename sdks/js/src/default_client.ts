/** The functions `trace`, `span`, … without a client: they use the one made last. */

import type { LLMLabClient, StepOptions, Work } from "./client.js";
import type { Budget, BudgetOptions } from "./core/budget.js";
import type { ScoreOptions } from "./core/scores.js";
import type { StepFields } from "./core/wire_types.js";

const KEY = Symbol.for("llmlab.client");
const shared = globalThis as { [KEY]?: LLMLabClient };
let make: (() => LLMLabClient) | undefined;

export function setDefault(client: LLMLabClient): void {
  shared[KEY] = client;
}

/** Called when a function is used before any client was made. */
export function setMaker(maker: () => LLMLabClient): void {
  make = maker;
}

export function defaultClient(): LLMLabClient {
  const client = shared[KEY] ?? make?.();
  if (!client) throw new Error("Make a client first: new LLMLab({ endpoint })");
  return client;
}

export function trace<T>(name: string, fn: Work<T>): T;
export function trace<T>(name: string, options: StepOptions, fn: Work<T>): T;
export function trace<T>(...given: unknown[]): T {
  return (defaultClient().trace as (...given: unknown[]) => T).apply(defaultClient(), given);
}

export function span<T>(name: string, fn: Work<T>): T;
export function span<T>(name: string, options: StepOptions, fn: Work<T>): T;
export function span<T>(...given: unknown[]): T {
  return (defaultClient().span as (...given: unknown[]) => T).apply(defaultClient(), given);
}

export function generation<T>(name: string, fn: Work<T>): T;
export function generation<T>(name: string, options: StepOptions, fn: Work<T>): T;
export function generation<T>(...given: unknown[]): T {
  return (defaultClient().generation as (...given: unknown[]) => T).apply(defaultClient(), given);
}

export const updateCurrent = (fields: StepFields): void => defaultClient().updateCurrent(fields);
export const currentTraceId = (): string | undefined => defaultClient().currentTraceId();
export const score = (given: ScoreOptions): string => defaultClient().score(given);
export const budget = <T>(options: BudgetOptions, fn: (budget: Budget) => T): T => defaultClient().budget(options, fn);
export const flush = (timeout?: number): Promise<boolean> => defaultClient().flush(timeout);
