/** Scores: what people and evaluators think of a trace, a step or a session. */

import { clean } from "./values.js";
import type { Recorder } from "./recorder.js";
import type { ScoreItem } from "./wire_types.js";
import { timestamp, now } from "./clock.js";

export interface ScoreOptions {
  name: string;
  value: number | boolean | string;
  /** The same id sent again corrects the score. */
  id?: string;
  traceId?: string;
  spanId?: string;
  session?: string;
  type?: "numeric" | "boolean" | "categorical";
  reason?: string;
  /** Another word for `reason`. */
  comment?: string;
  source?: "api" | "annotation" | "eval";
  metadata?: Record<string, unknown>;
}

/** The score as it is sent; undefined, told once, for one that says nothing about anything. */
export function scoreItem(score: ScoreOptions, recorder: Recorder): ScoreItem | undefined {
  try {
    const current = recorder.current;
    const item: ScoreItem = { id: score.id ?? recorder.newTraceId(), name: String(score.name), value: clean(score.value) };
    const traceId = score.traceId ?? (score.session === undefined ? current?.traceId : undefined);
    if (traceId) item.trace_id = traceId;
    if (score.spanId) item.span_id = score.spanId;
    if (score.session !== undefined) item.session = String(score.session);
    if (!traceId && score.session === undefined) {
      recorder.teller.once("score", `The score "${item.name}" is left out: outside any step it needs a traceId or a session.`);
      return undefined;
    }
    const reason = score.reason ?? score.comment;
    if (reason !== undefined) item.reason = String(reason);
    for (const key of ["type", "source"] as const) if (score[key] !== undefined) item[key] = String(score[key]);
    if (score.metadata !== undefined) item.metadata = clean(score.metadata);
    if (recorder.settings.environment) item.environment = recorder.settings.environment;
    item.scored_at = timestamp(now());
    return item;
  } catch (error) {
    recorder.failed("score", error);
    return undefined;
  }
}
