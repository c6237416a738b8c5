/** A call to a provider under way. The caller's path only stores references here; `build` reads them later. */

import type { Json } from "../capture/answer.js";
import { type CallRecord, requestStep, stepOf } from "../capture/step.js";
import type { Chunk } from "../capture/wire.js";
import type { Budget } from "../core/budget.js";
import { now, timestamp } from "../core/clock.js";
import type { Recorder } from "../core/recorder.js";
import type { Source } from "../core/source.js";
import { errorType } from "../core/span.js";
import { reasonOf } from "../core/tell.js";
import type { LocalTrace } from "../core/trace.js";
import { cutText } from "../core/values.js";

/** Bytes of one answer that are kept; what comes after is passed on to the caller but not recorded. */
const MAX_ANSWER = 16 * 1024 * 1024;
const MAX_STRING = 1024 * 1024;

export class LiveCall implements Source {
  isAnnounced = false;
  readonly isCall = true;
  /** Stops the wait for somebody to read the answer. */
  stopWaiting: (() => void) | undefined;
  /** The reader left and we read on. */
  isDraining = false;
  /** Takes an abort for the reader's leave, if it can be one; set while a stream is read. */
  leave: (() => boolean) | undefined;
  endedAt: number | undefined;
  private received = 0;

  constructor(
    private readonly recorder: Recorder,
    readonly id: string,
    readonly trace: LocalTrace,
    readonly parentId: string | undefined,
    readonly startedAt: number,
    readonly budget: Budget | undefined,
    private readonly hasContent: boolean,
    readonly record: CallRecord,
  ) {}

  get isEnded(): boolean {
    return this.endedAt !== undefined;
  }

  get size(): number {
    return 500 + this.record.requestBody.length + this.received;
  }

  /** Another attempt of the same call: what the one before brought is forgotten. */
  retry(): void {
    this.record.retries++;
    this.reset();
  }

  reset(): void {
    this.record.status = undefined;
    this.record.error = undefined;
    this.record.chunks = [];
    this.received = 0;
  }

  receive(data: Chunk[1]): void {
    if (this.received > MAX_ANSWER) return;
    this.received += data.length;
    this.record.chunks.push([now(), data]);
  }

  /** Somebody began to read the answer. */
  read(): void {
    this.stopWaiting?.();
    this.stopWaiting = undefined;
  }

  /** Ends the step; what comes later is ignored. */
  end(error?: unknown): void {
    this.read();
    if (this.isEnded) return;
    if (error !== undefined) this.record.error = { type: errorType(error), message: reasonOf(error) };
    this.endedAt = now();
    this.recorder.ended(this);
  }

  build(): Json {
    const { record, trace } = this;
    const read = (this.isEnded ? stepOf(record) : requestStep(record)) ?? { type: "llm", attributes: {} };
    if (!this.isEnded) read.status = "running";
    if (!this.hasContent) {
      delete read.input;
      delete read.output;
      delete read.tools;
    }
    if (this.id === trace.rootId) {
      trace.name ||= read.name ?? "";
      trace.status = read.status;
    }
    const step: Json = { id: this.id };
    if (this.parentId) step.parent_id = this.parentId;
    Object.assign(step, read);
    for (const key of ["input", "output", "tools", "parameters"]) if (key in step) step[key] = cutTexts(step[key]);
    step.started_at = timestamp(this.startedAt);
    if (this.endedAt !== undefined) step.ended_at = timestamp(this.endedAt);
    return step;
  }
}

/** Parsed JSON is plain; only texts beyond the limit have to be cut. */
function cutTexts(value: unknown): unknown {
  if (typeof value === "string") return value.length > MAX_STRING ? cutText(value) : value;
  if (typeof value !== "object" || value === null) return value;
  const items = value as Record<string, unknown>;
  for (const key of Object.keys(items)) {
    const item = items[key];
    if (typeof item === "string" ? item.length > MAX_STRING : typeof item === "object" && item !== null) {
      const cut = cutTexts(item);
      if (cut !== item) items[key] = cut;
    }
  }
  return value;
}
