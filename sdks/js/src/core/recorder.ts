/** Opens and ends steps: knows what is open, decides what is kept, and hands it to the delivery. Nothing here throws into the caller. */

import type { CallRecord } from "../capture/step.js";
import { Delivery } from "../delivery/delivery.js";
import { LiveCall } from "../instrument/live_call.js";
import type { Budget } from "./budget.js";
import { now } from "./clock.js";
import type { Scope } from "./context.js";
import { Ids, isSampled, type RemoteContext } from "./ids.js";
import { masked, maskOf } from "./masks.js";
import type { Platform } from "./platform.js";
import { ServerBudgets } from "./server_budgets.js";
import type { Settings } from "./settings.js";
import type { Source } from "./source.js";
import { Span } from "./span.js";
import { reasonOf, type Teller } from "./tell.js";
import { LocalTrace } from "./trace.js";
import type { Exporter, StepFields } from "./wire_types.js";

const MAX_WAITING_TRACES = 1000;
const MAX_WAITING_STEPS = 1000;

export class Recorder {
  readonly delivery: Delivery;
  readonly serverBudgets: ServerBudgets;
  private readonly ids: Ids;
  private readonly open = new Set<Source>();
  /** Traces outside the sample whose steps wait for an error. */
  private readonly waiting = new Set<LocalTrace>();
  private stopLive: (() => void) | undefined;

  constructor(
    readonly settings: Settings,
    readonly platform: Platform,
    readonly teller: Teller,
    readonly isOn: boolean,
    exporter: Exporter | undefined,
  ) {
    this.ids = new Ids((pool) => platform.randomBytes(pool));
    const mask = maskOf(settings.masks, (error) => teller.once("mask", `A mask failed (${reasonOf(error)}); the text was replaced as a whole.`));
    this.serverBudgets = new ServerBudgets(settings, platform, teller);
    this.delivery = new Delivery(settings, platform, teller, exporter, mask ? (value) => masked(value, mask) : (value) => value);
  }

  get scope(): Scope | undefined {
    return this.platform.store.get();
  }

  /** The open step that the running code belongs to, if it is one of this client's. */
  get current(): Span | undefined {
    const span = this.scope?.span;
    return span?.recorder === this ? span : undefined;
  }

  get isPaused(): boolean {
    return !this.isOn || this.scope?.paused === true;
  }

  newTraceId(): string {
    return this.ids.traceId();
  }

  startSpan(fields: StepFields, options: { parent?: Span | RemoteContext | undefined; startedAt?: number | undefined; content?: boolean | undefined } = {}): Span {
    const scope = this.scope;
    const startedAt = options.startedAt ?? now();
    const [trace, id, parentId] = this.place(options.parent, scope, startedAt);
    const hasContent = this.settings.captureContent && (options.content ?? scope?.content ?? true);
    const span = new Span(this, id, trace, parentId, startedAt, scope?.budget, hasContent);
    span.update(fields);
    if (this.isOn && !scope?.paused) this.opened(span);
    return span;
  }

  /** A call to a provider, under the current step or as a trace of its own. */
  startCall(record: CallRecord, scope: Scope | undefined, startedAt: number): LiveCall {
    const parent = scope?.span?.recorder === this ? scope.span : undefined;
    const [trace, id, parentId] = this.place(parent, scope, startedAt);
    const hasContent = this.settings.captureContent && (scope?.content ?? true);
    const call = new LiveCall(this, id, trace, parentId, startedAt, scope?.budget, hasContent, record);
    this.opened(call);
    return call;
  }

  /** Where a new step belongs: its part of a trace, its id, its parent. */
  private place(given: Span | RemoteContext | undefined, scope: Scope | undefined, startedAt: number): [LocalTrace, string, string | undefined] {
    const id = this.ids.spanId();
    const parent = given ?? (scope?.span?.recorder === this ? scope.span : scope?.remote);
    if (parent instanceof Span) return [parent.trace, id, parent.id];
    const traceId = parent?.traceId ?? this.ids.traceId();
    const sampled = parent ? parent.sampled : scope?.budget !== undefined || isSampled(traceId, this.settings.sampleRate);
    const { environment, release } = this.settings;
    return [new LocalTrace(traceId, id, parent?.spanId, sampled, startedAt, environment, release), id, parent?.spanId];
  }

  private opened(source: Source): void {
    this.open.add(source);
    if (this.settings.liveInterval > 0 && this.stopLive === undefined) this.watchRunning();
  }

  ended(source: Source): void {
    if (!this.open.delete(source)) return;
    try {
      this.keep(source);
    } catch (error) {
      this.failed("record", error);
    }
  }

  private keep(source: Source): void {
    const { trace } = source;
    const isRoot = source.id === trace.rootId;
    if (isRoot && source instanceof Span) {
      trace.status = source.outcome;
      trace.endedAt = source.endedAt;
    } else if (isRoot) {
      trace.endedAt = (source as LiveCall).endedAt;
    }
    if (trace.sampled) return this.delivery.add(source);
    trace.waiting.push(source);
    if (trace.waiting.length > MAX_WAITING_STEPS) trace.waiting.shift();
    if (trace.endedAt === undefined) this.remember(trace);
    else this.platform.soon(() => this.decide(trace));
  }

  private remember(trace: LocalTrace): void {
    this.waiting.add(trace);
    if (this.waiting.size <= MAX_WAITING_TRACES) return;
    const oldest = this.waiting.values().next().value!;
    this.waiting.delete(oldest);
    oldest.waiting = [];
  }

  /** A trace outside the sample is over: with an error among its steps it is sent after all. */
  private decide(trace: LocalTrace): void {
    this.waiting.delete(trace);
    const steps = trace.waiting;
    trace.waiting = [];
    const hasError = steps.some((source) => (source instanceof Span ? source.outcome : this.built(source)?.status) === "error");
    if (hasError) trace.sampled = true;
    for (const source of steps) {
      if (hasError) this.delivery.add(source);
      else this.delivery.unknown(source);
    }
  }

  private built(source: Source): { status?: string } | undefined {
    try {
      return source.build();
    } catch {
      return undefined;
    }
  }

  /** Running steps are announced so that the live view shows them. */
  private watchRunning(): void {
    const interval = this.settings.liveInterval * 1000;
    this.stopLive = this.platform.later(() => {
      this.stopLive = undefined;
      const before = now() - interval;
      for (const source of this.open) {
        if (source.startedAt > before) break; // they stand in the order they began
        if (source.isAnnounced || !source.trace.sampled) continue;
        source.isAnnounced = true;
        this.delivery.announce(source);
      }
      if (this.open.size) this.watchRunning();
    }, interval);
  }

  /** Something of ours went wrong; the program runs on. */
  failed(what: string, error: unknown): void {
    this.teller.once(`failed:${what}`, `Could not ${what} a step: ${reasonOf(error)}.`);
    this.delivery.countDropped(1);
  }

  /** Whether budgets of LLMLab may refuse a call here. */
  get isGuarded(): boolean {
    return this.isOn && this.settings.serverBudgets;
  }

  /** Throws BudgetExceededError when a budget of LLMLab refuses the call, by what it last said. Never waits. */
  refuseIfBlocked(model: () => unknown): void {
    if (!this.isGuarded) return;
    const trace = this.current?.trace;
    this.serverBudgets.check({ user: trace?.user, tags: trace?.tags, model });
  }

  /** Waits until what is spent is known, and throws BudgetExceededError when no more may be. */
  async admit(budget: Budget): Promise<void> {
    budget.check(false);
    if (budget.isSettled && !this.isOn) return budget.check(true);
    if (!budget.isSettled) await this.delivery.flush(2);
    budget.check(true);
  }

  close(): void {
    this.stopLive?.();
    this.stopLive = undefined;
  }
}
