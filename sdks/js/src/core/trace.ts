/** The part of a trace that runs in this process: one top step and what hangs below it. */

import type { Json } from "../capture/answer.js";
import { timestamp } from "./clock.js";
import type { Source } from "./source.js";

const MAX_TAGS = 50;

export class LocalTrace {
  name = "";
  status: "running" | "ok" | "error" = "running";
  endedAt: number | undefined;
  /** Steps of a trace that is not kept unless one of them fails. */
  waiting: Source[] = [];
  private readonly facts: Json = {};

  constructor(
    readonly traceId: string,
    readonly rootId: string,
    /** A step that another process sends. */
    readonly parentId: string | undefined,
    public sampled: boolean,
    readonly startedAt: number,
    private readonly environment: string,
    private readonly release: string,
  ) {}

  /** Who and what the whole trace is about; texts only, so that nothing odd gets on the wire. */
  set(fields: { user?: unknown; session?: unknown; tags?: unknown; metadata?: unknown }): void {
    if (fields.user !== undefined) this.facts.user = String(fields.user);
    if (fields.session !== undefined) this.facts.session = String(fields.session);
    if (fields.tags !== undefined) this.facts.tags = tagsOf([...(this.facts.tags ?? []), ...tagsOf(fields.tags)]);
    if (fields.metadata !== undefined) this.facts.metadata = { ...this.facts.metadata, ...(fields.metadata as Json) };
  }

  get user(): string | undefined {
    return this.facts.user;
  }

  get tags(): readonly string[] {
    return this.facts.tags ?? [];
  }

  /** The item of a batch, without its steps. Metadata is masked by the caller's function. */
  head(mask: (value: unknown) => unknown): Json {
    const head: Json = { trace_id: this.traceId, root_id: this.rootId };
    if (this.parentId) head.parent_id = this.parentId;
    head.name = this.name;
    head.status = this.status;
    head.started_at = timestamp(this.startedAt);
    if (this.endedAt !== undefined) head.ended_at = timestamp(this.endedAt);
    for (const key of Object.keys(this.facts)) head[key] = key === "metadata" ? mask(this.facts[key]) : this.facts[key];
    if (this.environment) head.environment = this.environment;
    if (this.release) head.release = this.release;
    return head;
  }
}

/** Distinct texts from whatever was given as tags. */
export function tagsOf(given: unknown): string[] {
  const listed = typeof given === "string" ? [given] : Array.isArray(given) ? given : [];
  const texts = listed.filter((tag) => ["string", "number", "boolean"].includes(typeof tag)).map(String);
  return [...new Set(texts)].slice(0, MAX_TAGS);
}
