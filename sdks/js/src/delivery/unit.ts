/** What the delivery holds: finished JSON, grouped into the items of a batch only when it is sent. */

import type { Json } from "../capture/answer.js";
import type { Budget } from "../core/budget.js";
import type { LocalTrace } from "../core/trace.js";
import type { SpoolLine } from "./spool_types.js";

export interface Unit {
  kind: "traces" | "scores";
  /** JSON of a step (with `trace`), of a whole item (without), or of a score; undefined when only the spool has it. */
  json: string | undefined;
  trace: LocalTrace | undefined;
  budget: Budget | undefined;
  /** Model calls in it whose cost the budget waits for. */
  calls: number;
  isLive: boolean;
  bytes: number;
  line: SpoolLine | undefined;
}

/** Units that became one item, in the order of the body. */
export interface Item {
  json: string;
  units: Unit[];
}

/** One item per trace (and budget, so that the cost told for an item belongs to one). */
export function itemsOf(units: Unit[], headOf: (trace: LocalTrace) => Json, textOf: (unit: Unit) => string | undefined): Item[] {
  const groups = new Map<LocalTrace, Map<unknown, Unit[]>>();
  const items: Item[] = [];
  for (const unit of units) {
    if (!unit.trace || unit.json === undefined) {
      const json = textOf(unit);
      if (json !== undefined) items.push({ json, units: [unit] });
      continue;
    }
    const key = unit.budget ? (unit.isLive ? unit.trace : unit.budget) : undefined;
    let byBudget = groups.get(unit.trace);
    if (!byBudget) groups.set(unit.trace, (byBudget = new Map()));
    const group = byBudget.get(key);
    if (group) group.push(unit);
    else byBudget.set(key, [unit]);
  }
  for (const [trace, byBudget] of groups) {
    const head = headOf(trace);
    for (const group of byBudget.values()) items.push({ json: itemJson(head, group.map((unit) => unit.json!)), units: group });
  }
  return items;
}

export function itemJson(head: Json, steps: string[]): string {
  return `${JSON.stringify(head).slice(0, -1)},"steps":[${steps.join(",")}]}`;
}

/** A queue that gives from its front in constant time. */
export class Queue<T> {
  private items: T[] = [];
  private start = 0;

  get length(): number {
    return this.items.length - this.start;
  }

  push(item: T): void {
    this.items.push(item);
  }

  peek(): T | undefined {
    return this.items[this.start];
  }

  shift(): T | undefined {
    if (this.start >= this.items.length) return undefined;
    const item = this.items[this.start]!;
    this.items[this.start++] = undefined as T;
    if (this.start > 1024 && this.start * 2 > this.items.length) {
      this.items = this.items.slice(this.start);
      this.start = 0;
    }
    return item;
  }

  *[Symbol.iterator](): Generator<T> {
    for (let at = this.start; at < this.items.length; at++) yield this.items[at]!;
  }
}
