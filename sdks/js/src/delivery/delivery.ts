/** From ended steps to acknowledged uploads: in the background, in bounded memory, whatever the server does. */

import type { Platform } from "../core/platform.js";
import type { Settings } from "../core/settings.js";
import type { Source } from "../core/source.js";
import { reasonOf, type Teller } from "../core/tell.js";
import type { Exporter, ScoreItem, TraceItem } from "../core/wire_types.js";
import { acknowledge, cutUnit } from "./answers.js";
import { Builder } from "./builder.js";
import type { Spool } from "./spool_types.js";
import { backOff, type Outcome, Transport } from "./transport.js";
import { itemsOf, Queue, type Unit } from "./unit.js";

const MAX_BATCH_BYTES = 4 * 1024 * 1024;
const SLICE_MS = 4;

export class Delivery {
  /** Steps that never arrived: the queue was full, the server refused them, or the program ended. */
  dropped = 0;
  private readonly intake = new Queue<{ source: Source; size: number }>();
  private readonly queue = new Queue<Unit>();
  /** Older than the queue: only the spool has their text, for lack of memory. */
  private readonly parked = new Queue<Unit>();
  /** Taken from the queue, not acknowledged: sent again before anything else. */
  private readonly batches: Unit[][] = [];
  /** On its way now. */
  private sending: Unit[] = [];
  private readonly announced = new Set<Source>();
  private readonly transport: Transport;
  private readonly spool: Spool | undefined;
  private readonly builder: Builder;
  /** Memory that waiting steps hold, roughly. */
  bytes = 0;
  private failures = 0;
  private notBefore = 0;
  private isForced = false;
  private isRunning = false;
  private isBuilding = false;
  private isClosed = false;
  private stopTimer: (() => void) | undefined;
  private waiters: (() => void)[] = [];

  constructor(
    private readonly settings: Settings,
    private readonly platform: Platform,
    private readonly teller: Teller,
    private readonly exporter: Exporter | undefined,
    mask: (value: unknown) => unknown,
  ) {
    this.transport = new Transport(settings, platform, teller);
    this.spool = exporter ? undefined : platform.openSpool(settings, teller);
    this.builder = new Builder(mask, this.spool, teller);
    if (this.spool) platform.soon(() => this.adopt());
  }

  add(source: Source): void {
    if (source.isCall) source.budget?.ended();
    if (this.isClosed) return this.lose([source], "after shutdown");
    const { size } = source;
    // Memory is short: what the spool could keep must not be lost for not being written yet.
    if (this.spool && this.bytes + size > this.settings.maxQueueBytes) this.buildSlice(Infinity);
    this.intake.push({ source, size });
    this.grow(size);
    if (this.spool && !this.isBuilding) {
      this.isBuilding = true;
      this.platform.soon(() => {
        this.isBuilding = false;
        this.buildSlice(Infinity);
      });
    }
    if (this.intake.length + this.queue.length >= this.settings.flushAt) this.kick(false);
    else this.arm();
  }

  addScore(score: ScoreItem): void {
    if (this.isClosed) return this.countDropped(1);
    const json = JSON.stringify(score);
    const unit: Unit = { kind: "scores", json, trace: undefined, budget: undefined, calls: 0, isLive: false, bytes: json.length, line: undefined };
    if (this.spool) unit.line = this.spool.write([`{"score":${json}}`])?.[0];
    this.queue.push(unit);
    this.grow(unit.bytes);
    this.arm();
  }

  /** A running step, for the live view. */
  announce(source: Source): void {
    if (this.isClosed) return;
    this.announced.add(source);
    this.kick(false);
  }

  /** A step that is not sent: its cost will never be known. */
  unknown(source: Source): void {
    if (!source.isCall || !source.budget) return;
    source.budget.ended();
    source.budget.settled(1, undefined, 1);
  }

  countDropped(steps: number): void {
    this.dropped += steps;
    this.teller.atMostEvery("dropped", 60_000, `${this.dropped} step${this.dropped === 1 ? "" : "s"} could not be kept or sent so far (queue of ${this.settings.maxQueueBytes} bytes, refusals and faults together).`);
  }

  get isEmpty(): boolean {
    return this.queued === 0;
  }

  /** Steps and scores that are not acknowledged. */
  get queued(): number {
    const taken = this.batches.reduce((sum, batch) => sum + batch.length, this.sending.length);
    return taken + this.intake.length + this.queue.length + this.parked.length;
  }

  /** True when all there is was acknowledged in time. */
  async flush(timeout: number): Promise<boolean> {
    if (this.isEmpty && !this.isRunning) return true;
    const before = this.dropped;
    this.isForced = true;
    if (this.failures) this.notBefore = 0;
    const idle = new Promise<void>((resolve) => this.waiters.push(resolve));
    this.kick(true);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, timeout * 1000)));
    await Promise.race([idle, late]);
    clearTimeout(timer);
    if (!this.isEmpty) this.isForced = false;
    return this.isEmpty && this.dropped === before;
  }

  /** Flushes, then stops for good. */
  async shutdown(timeout: number): Promise<boolean> {
    const isDone = await this.flush(timeout);
    this.close();
    return isDone;
  }

  /** Stops at once; what the spool has is sent by the next process, the rest is lost and told. */
  close(): void {
    if (this.isClosed) return;
    this.buildSlice(Infinity);
    this.isClosed = true;
    this.stopTimer?.();
    const units = [...this.sending, ...this.batches.flat(), ...this.queue].filter((unit) => !unit.isLive && !unit.line);
    if (units.length) {
      this.dropped += units.length;
      this.teller.once("lost", `${units.length} step${units.length === 1 ? "" : "s"} could not be sent before the program ended and ${units.length === 1 ? "is" : "are"} lost. A spoolDir keeps them for the next start.`);
    }
    this.spool?.close();
    this.settle();
  }

  private grow(bytes: number): void {
    this.bytes += bytes;
    while (this.bytes > this.settings.maxQueueBytes) if (!this.shed()) break;
  }

  /** Gives the oldest up: only its copy in memory where the spool has it. */
  private shed(): boolean {
    const unit = this.queue.shift();
    if (!unit) {
      const raw = this.intake.shift();
      if (!raw) return false;
      this.bytes -= raw.size;
      this.lose([raw.source], "full");
      return true;
    }
    this.bytes -= unit.bytes;
    if (unit.line) {
      unit.json = undefined;
      unit.bytes = 0;
      this.parked.push(unit);
      return true;
    }
    if (unit.calls) unit.budget?.settled(unit.calls, undefined, unit.calls);
    this.countDropped(1);
    return true;
  }

  private lose(sources: Source[], why: string): void {
    for (const source of sources) if (source.isCall) source.budget?.settled(1, undefined, 1);
    this.teller.debug(`lost ${sources.length} (${why})`);
    this.countDropped(sources.length);
  }

  private adopt(): void {
    for (const { line, text } of this.spool!.adopt()) {
      const isScore = text.startsWith('{"score":');
      const json = isScore ? text.slice(9, -1) : text;
      this.queue.push({ kind: isScore ? "scores" : "traces", json, trace: undefined, budget: undefined, calls: 0, isLive: false, bytes: json.length, line });
      this.grow(json.length);
    }
    if (!this.isEmpty) this.kick(true);
  }

  // ---- building

  /** Puts waiting steps into their form on the wire; true when none is left. */
  private buildSlice(limitMs: number): boolean {
    const until = performance.now() + limitMs;
    const built: Unit[] = [];
    let more = true;
    while ((more = this.intake.length > 0) && performance.now() < until) {
      const { source, size } = this.intake.shift()!;
      this.bytes -= size;
      const unit = this.builder.unit(source, false);
      if (unit) built.push(unit);
      else this.lose([source], "not built");
    }
    this.builder.spooled(built);
    for (const unit of built) {
      this.queue.push(unit);
      this.grow(unit.bytes);
    }
    return !more;
  }

  // ---- sending

  private arm(): void {
    if (this.stopTimer || this.isClosed) return;
    this.stopTimer = this.platform.later(() => {
      this.stopTimer = undefined;
      this.kick(true);
    }, this.settings.flushInterval * 1000);
  }

  private kick(isForced: boolean): void {
    this.isForced ||= isForced;
    if (this.isRunning || this.isClosed) return;
    this.isRunning = true;
    this.run().catch((error) => this.teller.once("run", `Sending failed: ${reasonOf(error)}.`)).finally(() => {
      this.isRunning = false;
      if (this.isEmpty) this.settle();
      else this.arm();
    });
  }

  private settle(): void {
    this.isForced = false;
    for (const wake of this.waiters.splice(0)) wake();
  }

  private async run(): Promise<void> {
    await Promise.resolve(); // leave the caller's path first
    while (!this.isClosed) {
      const wait = this.notBefore - performance.now();
      if (wait > 0) return this.wakeAfter(wait);
      while (!this.buildSlice(SLICE_MS)) await new Promise<void>((resolve) => this.platform.soon(resolve));
      const batch = this.batches.pop() ?? this.nextBatch();
      if (!batch) return;
      this.sending = batch;
      try {
        await this.deliver(batch);
      } catch (error) {
        this.giveUp(batch);
        throw error;
      } finally {
        this.sending = [];
      }
    }
  }

  private wakeAfter(ms: number): void {
    this.stopTimer?.();
    this.stopTimer = this.platform.later(() => {
      this.stopTimer = undefined;
      this.kick(true);
    }, ms);
  }

  private nextBatch(): Unit[] | undefined {
    const live = [...this.announced].filter((source) => !source.isEnded);
    this.announced.clear();
    const batch: Unit[] = [];
    for (const source of live) {
      const unit = this.builder.unit(source, true);
      if (unit) batch.push(unit);
    }
    this.bytes += batch.reduce((sum, unit) => sum + unit.bytes, 0);
    if (!batch.length && !this.isForced && this.queue.length + this.parked.length < this.settings.flushAt) return undefined;
    const queue = this.parked.length ? this.parked : this.queue;
    const kind = batch.length ? "traces" : queue.peek()?.kind;
    const limit = Math.max(this.settings.flushAt, 100);
    let size = 0;
    while (batch.length < limit && size < MAX_BATCH_BYTES && queue.peek()?.kind === kind && kind) {
      const unit = queue.shift()!;
      size += unit.json === undefined ? unit.line!.length : unit.bytes;
      batch.push(unit);
    }
    return batch.length ? batch : undefined;
  }

  private async deliver(batch: Unit[]): Promise<void> {
    const kind = batch[0]!.kind;
    const items = itemsOf(batch, (trace) => this.builder.head(trace), (unit) => this.builder.text(unit));
    if (!items.length) return this.finish(batch); // the spool's file was taken away
    const texts = items.map((item) => item.json);
    const outcome = this.exporter ? await this.exported(kind, texts) : await this.transport.send(kind, texts, this.settings.timeout);
    if (outcome.kind !== "retry") this.failures = 0;
    if (outcome.kind === "done") {
      const refused = acknowledge(items, outcome.results, this.teller);
      if (refused) this.countDropped(refused);
      this.finish(batch);
    } else if (outcome.kind === "refused") {
      this.teller.once(`refused:${outcome.reason}`, `LLMLab refused ${batch.length} step${batch.length === 1 ? "" : "s"} (${outcome.reason}).`);
      this.giveUp(batch);
    } else if (outcome.kind === "too_large") {
      this.halve(batch);
    } else {
      this.again(batch, outcome);
    }
  }

  private async exported(kind: "traces" | "scores", items: string[]): Promise<Outcome> {
    const parsed = items.map((json) => JSON.parse(json));
    try {
      if (kind === "traces") await this.exporter!.traces(parsed as TraceItem[]);
      else await this.exporter!.scores(parsed as ScoreItem[]);
      return { kind: "done", results: undefined };
    } catch (error) {
      return { kind: "refused", reason: `the exporter failed: ${reasonOf(error)}` };
    }
  }

  private finish(batch: Unit[]): void {
    for (const unit of batch) {
      this.bytes -= unit.bytes;
      if (unit.line) this.spool?.done(unit.line);
    }
  }

  private giveUp(batch: Unit[]): void {
    for (const unit of batch) if (unit.calls) unit.budget?.settled(unit.calls, undefined, unit.calls);
    this.countDropped(batch.filter((unit) => !unit.isLive).length);
    this.finish(batch);
  }

  private halve(batch: Unit[]): void {
    if (batch.length > 1) {
      const middle = batch.length >> 1;
      this.batches.push(batch.slice(middle), batch.slice(0, middle));
      return;
    }
    const unit = batch[0]!;
    const before = unit.bytes;
    const text = this.builder.text(unit);
    const cut = text === undefined ? undefined : cutUnit(text);
    if (cut === undefined) {
      this.teller.once("too_large", "LLMLab refused a step as too large even without its input and output.");
      return this.giveUp(batch);
    }
    unit.json = cut;
    unit.bytes = cut.length;
    this.bytes += unit.bytes - before;
    this.batches.push(batch);
  }

  private again(batch: Unit[], outcome: Extract<Outcome, { kind: "retry" }>): void {
    const kept = batch.filter((unit) => !unit.isLive);
    this.finish(batch.filter((unit) => unit.isLive));
    if (kept.length) this.batches.push(kept);
    const wait = outcome.after ?? backOff(this.failures, outcome.limit);
    this.failures++;
    this.notBefore = performance.now() + wait * 1000;
    this.teller.debug(`upload failed (${outcome.reason}), again in ${wait.toFixed(1)} s`);
  }
}
