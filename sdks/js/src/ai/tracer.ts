/** A tracer as the AI SDK's `experimental_telemetry` takes one: its spans become our steps, under the step that is open. */

import type { Recorder } from "../core/recorder.js";
import type { Span } from "../core/span.js";
import { type Attributes, fieldsOf, typeOf } from "./attributes.js";

const ERROR = 2; // SpanStatusCode.ERROR of OpenTelemetry
const MAX_ATTRIBUTES = 1000;

export interface TelemetryOptions {
  /** Names the function in LLMLab's lists. */
  functionId?: string;
  /** `userId`, `sessionId` and `tags` find their place; the rest is metadata. */
  metadata?: Record<string, string | number | boolean | string[]>;
  recordInputs?: boolean;
  recordOutputs?: boolean;
}

/** As much of OpenTelemetry's Span as is called. */
export class TelemetrySpan {
  private readonly attributes: Attributes = {};
  private count = 0;

  constructor(
    readonly step: Span,
    private name: string,
    attributes: Attributes | undefined,
  ) {
    if (attributes) this.setAttributes(attributes);
  }

  spanContext(): { traceId: string; spanId: string; traceFlags: number } {
    return { traceId: this.step.traceId, spanId: this.step.spanId, traceFlags: this.step.trace.sampled ? 1 : 0 };
  }

  setAttribute(key: string, value: unknown): this {
    if (value !== undefined && (key in this.attributes || this.count++ < MAX_ATTRIBUTES)) this.attributes[key] = value;
    return this;
  }

  setAttributes(attributes: Attributes): this {
    for (const key of Object.keys(attributes)) this.setAttribute(key, attributes[key]);
    return this;
  }

  addEvent(name: string, attributes?: Attributes): this {
    // The first chunk's time of older versions comes as an event.
    if (name === "ai.stream.firstChunk" && attributes) this.setAttributes(attributes);
    return this;
  }

  addLink(): this {
    return this;
  }

  addLinks(): this {
    return this;
  }

  setStatus(status: { code?: number; message?: string }): this {
    if (status?.code === ERROR && this.step.outcome !== "error") this.step.fail({ type: "error", message: status.message ?? "" });
    return this;
  }

  recordException(error: unknown): void {
    const { name, message } = (typeof error === "object" && error !== null ? error : { message: error }) as { name?: unknown; message?: unknown };
    this.step.fail({ type: String(name ?? "Error"), message: String(message ?? "") });
  }

  updateName(name: string): this {
    this.name = name;
    return this;
  }

  isRecording(): boolean {
    return !this.step.isEnded;
  }

  end(): void {
    if (this.step.isEnded) return;
    try {
      const { fields, user, session, tags, metadata } = fieldsOf(this.name, this.attributes);
      this.step.raw(fields);
      this.step.update({ ...(user && { user }), ...(session && { session }), ...(tags ? { tags: tags as string[] } : {}), ...(metadata && { metadata }) });
      if (this.step.isRoot) this.step.trace.name = fields.feature ?? fields.name;
    } catch (error) {
      this.step.recorder.failed("read", error);
    }
    this.step.end();
  }
}

type Work = (span: TelemetrySpan) => unknown;

export class Tracer {
  constructor(private readonly recorder: Recorder) {}

  startSpan(name: string, options?: { attributes?: Attributes }): TelemetrySpan {
    const attributes = options?.attributes ?? {};
    const step = this.recorder.startSpan({ name });
    step.raw({ type: typeOf(attributes)[0] });
    return new TelemetrySpan(step, name, attributes);
  }

  startActiveSpan(name: string, ...rest: unknown[]): unknown {
    const work = rest[rest.length - 1] as Work;
    const options = rest.length > 1 ? (rest[0] as { attributes?: Attributes }) : undefined;
    const { recorder } = this;
    const scope = recorder.scope;
    const run = (): unknown => {
      const span = this.startSpan(name, options);
      return recorder.platform.store.run({ ...scope, span: span.step }, () => work(span));
    };
    const isCall = ["llm", "embedding"].includes(typeOf(options?.attributes ?? {})[0]);
    return scope?.budget && isCall ? recorder.admit(scope.budget).then(run) : run();
  }
}
