/** The client, the same for Node and browsers. */

import { isObject } from "./capture/answer.js";
import type { TelemetryOptions } from "./ai/tracer.js";
import { Integration } from "./ai/integration.js";
import { Tracer } from "./ai/tracer.js";
import { Budget, type BudgetOptions } from "./core/budget.js";
import type { Scope } from "./core/context.js";
import { formatTraceparent, parseTraceparent, type RemoteContext } from "./core/ids.js";
import type { Platform } from "./core/platform.js";
import { Recorder } from "./core/recorder.js";
import { runInSpan } from "./core/run.js";
import type { ServerBudget } from "./core/server_budgets.js";
import { type LLMLabOptions, type Settings, settingsOf } from "./core/settings.js";
import type { Span } from "./core/span.js";
import { type ScoreOptions, scoreItem } from "./core/scores.js";
import type { StepFields, StepType } from "./core/wire_types.js";
import { recordingFetch } from "./instrument/fetch.js";
import { patch } from "./instrument/stainless.js";

/** What may be said when a step is opened. */
export interface StepOptions extends StepFields {
  /** Another step to hang under than the one that is open: a span, or what `extract` gave. */
  parent?: Span | RemoteContext | null;
  /** False: neither this step's nor its children's contents are recorded. */
  captureContent?: boolean;
}

export type Work<T> = (span: Span) => T;
/** Anything that has headers: a plain object, a Headers, or a request of Node's. */
export type HeadersLike = Headers | Record<string, unknown> | { headers: Headers | Record<string, unknown> };

export interface AiTelemetry {
  isEnabled: boolean;
  functionId?: string;
  metadata?: Record<string, any>;
  recordInputs: boolean;
  recordOutputs: boolean;
  tracer: any;
  /** For version 7, which has no tracer. */
  integrations: any[];
}

export class LLMLabClient {
  /** Settings as they took effect. */
  readonly settings: Readonly<Settings>;
  /** @internal */
  readonly recorder: Recorder;
  /** A fetch that records calls to models: for libraries that take a fetch, and for code of your own. */
  readonly fetch: typeof globalThis.fetch;
  private stopExit: (() => void) | undefined;

  constructor(options: LLMLabOptions, platform: Platform, isAllowed = true) {
    const [settings, teller] = settingsOf(options, safeEnvironment(platform));
    this.settings = settings;
    const missing = platform.isBrowser
      ? [!settings.endpoint && "endpoint"]
      : [!settings.apiKey && "apiKey (LLMLAB_API_KEY)", !settings.project && "project (LLMLAB_PROJECT)"];
    const lacks = options.exporter ? [] : missing.filter((name): name is string => Boolean(name));
    if (settings.enabled && isAllowed && lacks.length) teller.once("off", `Nothing is recorded: ${lacks.join(" and ")} missing.`);
    const isOn = settings.enabled && isAllowed && lacks.length === 0;
    if (!isOn) settings.spoolDir = "";
    this.recorder = new Recorder(settings, platform, teller, isOn, options.exporter);
    this.fetch = recordingFetch(this.recorder);
    const { delivery } = this.recorder;
    if (isOn) {
      this.stopExit = platform.onExit({
        get isIdle() {
          return delivery.isEmpty;
        },
        flush: () => delivery.flush(5),
        last: () => delivery.close(),
      });
    }
  }

  /** Whether anything is recorded. */
  get isOn(): boolean {
    return this.recorder.isOn;
  }

  /** Runs `fn` in a step; outside any step it opens a trace. Sync and async functions and generators keep what they return. */
  trace<T>(name: string, fn: Work<T>): T;
  trace<T>(name: string, options: StepOptions, fn: Work<T>): T;
  trace<T>(name: string, ...rest: unknown[]): T {
    return this.step("agent", name, rest);
  }

  /** A step of any kind. */
  span<T>(name: string, fn: Work<T>): T;
  span<T>(name: string, options: StepOptions, fn: Work<T>): T;
  span<T>(name: string, ...rest: unknown[]): T {
    return this.step("span", name, rest);
  }

  /** A call to a model that no instrument sees: say model, provider and usage with `update`. */
  generation<T>(name: string, fn: Work<T>): T;
  generation<T>(name: string, options: StepOptions, fn: Work<T>): T;
  generation<T>(name: string, ...rest: unknown[]): T {
    this.recorder.scope?.budget?.check(false);
    this.recorder.refuseIfBlocked(() => (rest.length > 1 ? (rest[0] as StepOptions | undefined)?.model : undefined));
    return this.step("llm", name, rest);
  }

  tool<T>(name: string, fn: Work<T>): T;
  tool<T>(name: string, options: StepOptions, fn: Work<T>): T;
  tool<T>(name: string, ...rest: unknown[]): T {
    return this.step("tool", name, rest);
  }

  retrieval<T>(name: string, fn: Work<T>): T;
  retrieval<T>(name: string, options: StepOptions, fn: Work<T>): T;
  retrieval<T>(name: string, ...rest: unknown[]): T {
    return this.step("retrieval", name, rest);
  }

  /** The function, each call of which is a step: its arguments are the input, what it returns is the output. */
  traced<A extends unknown[], R>(name: string, fn: (...given: A) => R, options: StepOptions = {}): (...given: A) => R {
    const { trace } = this;
    const self = this;
    return function (this: unknown, ...given: A): R {
      const input = given.length === 1 ? given[0] : given;
      return trace.call(self, name, { input, ...options }, () => fn.apply(this, given)) as R;
    };
  }

  /** A step that you end yourself. It is nobody's parent unless you pass it as `parent` or run in it with `within`. */
  startSpan(name: string, options: StepOptions = {}): Span {
    const { parent, captureContent, ...fields } = options;
    return this.recorder.startSpan({ type: "span", ...fields, name }, { parent: parent ?? undefined, content: captureContent });
  }

  /** Runs `fn` with an open step as the parent of what happens inside. */
  within<T>(span: Span, fn: () => T): T {
    return this.inScope({ span }, fn);
  }

  private step<T>(type: StepType, name: string, rest: unknown[]): T {
    const fn = rest[rest.length - 1] as Work<T>;
    const options = (rest.length > 1 ? rest[0] : undefined) as StepOptions | undefined;
    const { parent, captureContent, ...fields } = options ?? {};
    const { recorder } = this;
    const scope = recorder.scope;
    const span = recorder.startSpan({ type, ...fields, name: String(name) }, { parent: parent ?? undefined, content: captureContent });
    const content = captureContent ?? scope?.content;
    return runInSpan(recorder.platform.store, { ...scope, span, content }, span, () => fn(span));
  }

  private inScope<T>(change: Scope, fn: () => T): T {
    const { store } = this.recorder.platform;
    return store.run({ ...store.get(), ...change }, fn);
  }

  /** User, session, tags and metadata of the current trace; all else of the current step. */
  updateCurrent(fields: StepFields): void {
    const span = this.recorder.current;
    if (!span) return this.recorder.teller.debug("updateCurrent outside any step changes nothing");
    const { user, session, tags, metadata, ...rest } = fields;
    span.updateTrace({ user, session, tags, metadata });
    span.update(rest);
  }

  /** The open step, if there is one. */
  currentSpan(): Span | undefined {
    return this.recorder.current;
  }

  currentTraceId(): string | undefined {
    return this.recorder.current?.traceId ?? this.recorder.scope?.remote?.traceId;
  }

  /** Judges a trace, a step or a session: what is named, else the current trace. Returns the score's id. */
  score(score: ScoreOptions): string {
    const { recorder } = this;
    const item = scoreItem(score, recorder);
    if (item && recorder.isOn) recorder.delivery.addScore(item);
    return item?.id ?? "";
  }

  /** Adds `traceparent`, so that the service called hangs its steps under the current one. Returns the same headers. */
  inject<T extends object>(headers: T): T {
    const scope = this.recorder.scope;
    const header = this.recorder.current?.traceparent ?? (scope?.remote && formatTraceparent(scope.remote));
    if (!header) return headers;
    if (typeof (headers as unknown as Headers).set === "function") (headers as unknown as Headers).set("traceparent", header);
    else (headers as Record<string, unknown>).traceparent = header;
    return headers;
  }

  /** The caller's step from the headers of a request; null when there is none. Give it to `trace` as `parent`, or use `continued`. */
  extract(headers: HeadersLike | null | undefined): RemoteContext | null {
    try {
      return parseTraceparent(headerOf(headers));
    } catch {
      return null;
    }
  }

  /** Runs `fn` under the caller's step that a request's headers name, if they do. */
  continued<T>(headers: HeadersLike | null | undefined, fn: () => T): T {
    const remote = this.extract(headers);
    return remote ? this.inScope({ remote, span: undefined }, fn) : fn();
  }

  /** What is said inside is not recorded, only that and when. */
  withoutContent<T>(fn: () => T): T {
    return this.inScope({ content: false }, fn);
  }

  /** Nothing inside is recorded. */
  paused<T>(fn: () => T): T {
    return this.inScope({ paused: true }, fn);
  }

  /** Calls to models inside throw BudgetExceededError once they cost this much together. */
  budget<T>(options: BudgetOptions, fn: (budget: Budget) => T): T {
    const budget = Budget.open(options, this.recorder.scope?.budget);
    return this.inScope({ budget }, () => fn(budget));
  }

  /**
   * The budgets set in LLMLab that calls of this project may count towards, strictest first. Asks the server now; when it is
   * away: what it said last, undefined if it never answered.
   */
  budgets(): Promise<readonly ServerBudget[] | undefined> {
    return this.recorder.serverBudgets.read();
  }

  /** For `experimental_telemetry` (from version 7 on: `telemetry`) of the Vercel AI SDK. */
  aiTelemetry(options: TelemetryOptions = {}): AiTelemetry {
    const hasContent = this.settings.captureContent && this.recorder.scope?.content !== false;
    const tracer = new Tracer(this.recorder);
    return {
      isEnabled: this.isOn,
      ...(options.functionId && { functionId: options.functionId }),
      ...(options.metadata && { metadata: options.metadata }),
      recordInputs: options.recordInputs ?? hasContent,
      recordOutputs: options.recordOutputs ?? hasContent,
      tracer,
      integrations: [new Integration(this.recorder, tracer)],
    };
  }

  /** Records the calls of one client of `openai` or `@anthropic-ai/sdk`; returns the same client. */
  wrap<C extends object>(client: C): C {
    const { recorder } = this;
    if (!patch(client, () => recorder)) recorder.teller.once("wrap", "wrap() knows clients of openai and @anthropic-ai/sdk; this one is neither, and is left as it is. For others give them llm.fetch.");
    return client;
  }

  /** Sends what waits; true when LLMLab acknowledged all of it within `timeout` seconds. */
  flush(timeout = 10): Promise<boolean> {
    return this.recorder.delivery.flush(timeout);
  }

  /** Sends what waits and stops for good. What could not be sent stays in the spool, or is lost and told. */
  async shutdown(timeout = 5): Promise<boolean> {
    this.recorder.close();
    const isDone = await this.recorder.delivery.shutdown(timeout);
    this.stopExit?.();
    return isDone;
  }

  /** What waits, and what was lost: for health pages and tests. */
  stats(): { queued: number; queuedBytes: number; dropped: number } {
    const { delivery } = this.recorder;
    return { queued: delivery.queued, queuedBytes: delivery.bytes, dropped: delivery.dropped };
  }

  /** Steps that were lost so far. */
  get dropped(): number {
    return this.recorder.delivery.dropped;
  }
}

function safeEnvironment(platform: Platform): Record<string, string | undefined> {
  try {
    return platform.environment();
  } catch {
    return {};
  }
}

function headerOf(given: HeadersLike | null | undefined): unknown {
  if (!given) return undefined;
  const headers = isObject((given as { headers?: unknown }).headers) || (given as { headers?: unknown }).headers instanceof Headers ? (given as { headers: Headers | Record<string, unknown> }).headers : (given as Headers | Record<string, unknown>);
  if (typeof (headers as Headers).get === "function") return (headers as Headers).get("traceparent");
  const name = Object.keys(headers).find((key) => key.toLowerCase() === "traceparent");
  const value = name && (headers as Record<string, unknown>)[name];
  return Array.isArray(value) ? value[0] : value;
}
