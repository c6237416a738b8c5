/** A step of the program's own: opened by `trace`, `span` or `generation`, or by the AI SDK's telemetry. */

import { isObject, type Json } from "../capture/answer.js";
import type { Budget } from "./budget.js";
import { now, timestamp } from "./clock.js";
import { formatTraceparent } from "./ids.js";
import type { Recorder } from "./recorder.js";
import type { Source } from "./source.js";
import { type LocalTrace, tagsOf } from "./trace.js";
import { clean, sizeOf } from "./values.js";
import { type StepFields, WIRE_NAMES } from "./wire_types.js";

const CONTENT = new Set(["input", "output", "tools"]);
const NUMBERS = new Set(["timeToFirstTokenMs"]);
const FACTS = new Set(["user", "session", "tags", "metadata"]);
const OBJECTS = new Set(["usage", "parameters", "attributes"]);
const SHORT = new Set(["name", "type", "feature", "promptVersion", "model", "responseModel", "provider", "operation", "finishReason", "responseId", "serviceTier"]);

export class Span implements Source {
  isAnnounced = false;
  endedAt: number | undefined;
  size = 200;
  private status: "running" | "ok" | "error" = "running";
  private readonly fields: Json = {};

  constructor(
    /** @internal */ readonly recorder: Recorder,
    readonly id: string,
    readonly trace: LocalTrace,
    readonly parentId: string | undefined,
    readonly startedAt: number,
    readonly budget: Budget | undefined,
    private readonly hasContent: boolean,
  ) {}

  get spanId(): string {
    return this.id;
  }

  get traceId(): string {
    return this.trace.traceId;
  }

  get isRoot(): boolean {
    return this.id === this.trace.rootId;
  }

  get isEnded(): boolean {
    return this.endedAt !== undefined;
  }

  get isCall(): boolean {
    return this.fields.type === "llm" || this.fields.type === "embedding";
  }

  /** The header that lets another process hang its steps under this one. */
  get traceparent(): string {
    return formatTraceparent({ traceId: this.traceId, spanId: this.id, sampled: this.trace.sampled });
  }

  /** Adds to what is known of the step. On the top step user, session, tags and metadata hold for the whole trace. Never throws. */
  update(fields: StepFields): this {
    try {
      this.set(fields ?? {});
    } catch (error) {
      this.recorder.failed("update", error);
    }
    return this;
  }

  private set(fields: StepFields): void {
    for (const key of Object.keys(fields)) {
      const value = (fields as Json)[key];
      if (value === undefined || value === null || !(key in WIRE_NAMES)) continue;
      if (CONTENT.has(key) && !this.hasContent) continue;
      this.put(key, value);
    }
    if (fields.error !== undefined && fields.error !== null) this.setError(fields.error);
  }

  private put(key: string, value: unknown): void {
    const name = WIRE_NAMES[key]!;
    const plain = clean(value);
    if (FACTS.has(key)) {
      const fact = factOf(key, plain);
      if (this.isRoot) return this.trace.set({ [key]: fact });
      this.fields[name] = key === "metadata" ? { ...this.fields[name], ...(fact as Json) } : fact;
    } else
    if (OBJECTS.has(key)) {
      // Another shape would get the whole step refused.
      const given = isObject(plain) ? plain : { value: plain };
      this.fields[name] = key === "usage" ? given : { ...this.fields[name], ...given };
    } else if (key === "tools") {
      this.fields[name] = Array.isArray(plain) ? plain : [plain];
    } else if (SHORT.has(key)) {
      this.fields[name] = typeof plain === "string" ? plain : JSON.stringify(plain);
      if (key === "name" && this.isRoot) this.trace.name = this.fields[name];
    } else if (!NUMBERS.has(key) || typeof plain === "number") {
      this.fields[name] = plain;
    }
    this.size += sizeOf(this.fields[name]);
  }

  private setError(error: unknown): void {
    this.status = "error";
    const plain = clean(error);
    if (error instanceof Error) {
      this.fields.error = { type: errorType(error), message: String(error.message).slice(0, 2000) };
    } else if (isObject(plain) && (plain.type || plain.message)) {
      this.fields.error = { type: String(plain.type ?? "error"), message: String(plain.message ?? "").slice(0, 2000) };
    } else {
      this.fields.error = { type: "error", message: typeof plain === "string" ? plain.slice(0, 2000) : JSON.stringify(plain).slice(0, 2000) };
    }
  }

  /** @internal User, session, tags and metadata of the whole trace, from whichever step. */
  updateTrace(facts: Pick<StepFields, "user" | "session" | "tags" | "metadata"> | Json): void {
    for (const key of Object.keys(facts)) {
      const value = (facts as Json)[key];
      if (value !== undefined && value !== null) this.trace.set({ [key]: factOf(key, clean(value)) });
    }
  }

  /** @internal Fields under their names on the wire, for instruments. */
  raw(fields: Json): void {
    for (const key of Object.keys(fields)) {
      if (fields[key] === undefined || ((key === "input" || key === "output" || key === "tools") && !this.hasContent)) continue;
      this.fields[key] = clean(fields[key]);
      this.size += sizeOf(this.fields[key]);
    }
  }

  /** Marks the step as failed; `end` still has to follow. */
  fail(error: unknown): this {
    return this.update({ error: error ?? "failed" });
  }

  /** Ends the step; a second end changes nothing. */
  end(fields?: StepFields, endedAt?: number): void {
    if (this.isEnded) return;
    if (fields) this.update(fields);
    this.endedAt = Math.max(this.startedAt, endedAt ?? now());
    if (this.status === "running") this.status = "ok";
    this.recorder.ended(this);
  }

  /** Whether nobody said yet what came out. */
  get lacksOutput(): boolean {
    return this.hasContent && !("output" in this.fields);
  }

  /** @internal */
  get outcome(): "running" | "ok" | "error" {
    return this.status;
  }

  /** @internal */
  build(): Json {
    const step: Json = { id: this.id };
    if (this.parentId) step.parent_id = this.parentId;
    Object.assign(step, this.fields);
    if (step.request_model) step.model ??= step.request_model;
    step.type ??= "span";
    step.status = this.status;
    step.started_at = timestamp(this.startedAt);
    if (this.endedAt !== undefined) step.ended_at = timestamp(this.endedAt);
    return step;
  }
}

/** Texts, tags or an object, so that nothing odd gets the whole step refused. */
function factOf(key: string, plain: unknown): unknown {
  if (key === "tags") return tagsOf(plain);
  if (key === "metadata") return isObject(plain) ? plain : { value: plain };
  return (typeof plain === "string" ? plain : JSON.stringify(plain)).slice(0, 200);
}

/** The class of what was thrown. */
export function errorType(error: unknown): string {
  const name = (error as Error | undefined)?.constructor?.name;
  return (name && name !== "Error" && name !== "Object" ? name : (error as Error)?.name) || "Error";
}
