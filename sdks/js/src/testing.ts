/** For programs' own tests: keeps what would be sent. */

import type { Json } from "./capture/answer.js";
import type { Exporter, ScoreItem, TraceItem } from "./core/wire_types.js";

/** `new LLMLab({ exporter })`; call `await llm.flush()` before you look. */
export class TestExporter implements Exporter {
  /** Uploaded items in their order; a trace may come in several. */
  readonly items: TraceItem[] = [];
  readonly sentScores: ScoreItem[] = [];

  traces(items: TraceItem[]): void {
    this.items.push(...items);
  }

  scores(items: ScoreItem[]): void {
    this.sentScores.push(...items);
  }

  /** Every step as it was last sent, in the order they began. */
  get steps(): Json[] {
    const latest = new Map<string, Json>();
    for (const item of this.items) {
      for (const step of item.steps) {
        if (step.status !== "running" || !latest.has(step.id)) latest.set(step.id, { trace_id: item.trace_id, ...step });
      }
    }
    return [...latest.values()].sort((one, other) => (one.started_at < other.started_at ? -1 : one.started_at > other.started_at ? 1 : 0));
  }

  /** The steps of that name. */
  named(name: string): Json[] {
    return this.steps.filter((step) => step.name === name);
  }

  clear(): void {
    this.items.length = 0;
    this.sentScores.length = 0;
  }
}
