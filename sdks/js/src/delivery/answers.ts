/** What LLMLab answered about single items, and steps made smaller for it. */

import { isObject, type Json } from "../capture/answer.js";
import type { Teller } from "../core/tell.js";
import type { Item } from "./unit.js";

/** Tells refusals (each code once), gives budgets their costs; returns how many steps were refused. */
export function acknowledge(items: Item[], results: Json[] | undefined, teller: Teller): number {
  let refused = 0;
  const byIndex = new Map<number, Json>();
  results?.forEach((result, at) => isObject(result) && byIndex.set(typeof result.index === "number" ? result.index : at, result));
  items.forEach((item, at) => {
    const result = byIndex.get(at);
    settle(item, result);
    refused += refusals(result, teller);
  });
  return refused;
}

function settle(item: Item, result: Json | undefined): void {
  const calls = item.units.reduce((sum, unit) => sum + unit.calls, 0);
  const budget = item.units[0]?.budget;
  if (!calls || !budget) return;
  if (!result) return budget.settled(calls, undefined, calls);
  const unpriced = typeof result.unpriced_calls === "number" ? result.unpriced_calls : result.cost_usd === null || result.cost_usd === undefined ? calls : 0;
  budget.settled(calls, result.cost_usd, unpriced);
}

function refusals(result: Json | undefined, teller: Teller): number {
  if (!result) return 0;
  const rejected: unknown[] = Array.isArray(result.rejected) ? result.rejected : [];
  for (const entry of rejected) if (isObject(entry)) told(entry, teller);
  if (rejected.length) return rejected.length;
  const isRefused = typeof result.status === "number" && result.status >= 400;
  if (isRefused) told(result, teller);
  return isRefused ? 1 : 0;
}

function told(entry: Json, teller: Teller): void {
  const code = String(entry.code ?? "refused");
  teller.once(`code:${code}`, `LLMLab refused a step (${code}): ${String(entry.detail ?? "").slice(0, 300)}`);
}

/** The step or item without what was said in it; undefined when that is gone already. */
export function cutUnit(text: string): string | undefined {
  const value: Json = JSON.parse(text);
  const steps: Json[] = Array.isArray(value.steps) ? value.steps : [value];
  let isCut = false;
  for (const step of steps) {
    for (const key of ["input", "output", "tools", "metadata"]) {
      if (step[key] === undefined) continue;
      const size = JSON.stringify(step[key]).length;
      if (size <= 200) continue;
      const mark = `[cut: ${size} bytes]`;
      step[key] = key === "tools" ? [mark] : key === "metadata" ? { cut: mark } : mark;
      isCut = true;
    }
  }
  return isCut ? JSON.stringify(value) : undefined;
}
