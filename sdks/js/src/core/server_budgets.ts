/** The budgets set in LLMLab: read by the program, and a guard that goes by what was last said and never waits. */

import { reasonOf, type Teller } from "./tell.js";
import { unitsOf } from "./decimal.js";
import { BudgetExceededError } from "./budget.js";
import type { Platform } from "./platform.js";
import type { Settings } from "./settings.js";
import { VERSION } from "../version.js";

/** One budget as the server last told it; `raw` is its whole JSON (docs/api.md). Amounts keep every digit. */
export interface ServerBudget {
  id: string;
  name: string;
  scope: string;
  value: string;
  amountUsd: string;
  spentUsd: string;
  remainingUsd: string;
  isHard: boolean;
  resetsAt: Date;
  outlook: string;
  countsEveryCall: boolean;
  /** A team's by allocation rules: which calls count is the server's to tell. */
  countsByRules: boolean;
  raw: Record<string, unknown>;
}

/** What is known of a call before it is sent. The model is only asked for where one decides. */
export interface CallFacts {
  user?: string | undefined;
  tags?: readonly string[] | undefined;
  model?: (() => unknown) | undefined;
}

const AGAIN = 30;
const LEAST = 5;
const AFTER_FAILURE = 60;

/** Throws a TypeError for what is no budget. */
export function serverBudgetOf(raw: any): ServerBudget {
  const resetsAt = new Date(raw.resets_at);
  const amounts = [raw.amount_usd, raw.spent_usd, raw.remaining_usd];
  if (Number.isNaN(resetsAt.getTime()) || amounts.some((one) => typeof one !== "string" || unitsOf(one.replace(/^-/, "")) === undefined)) throw new TypeError("not a budget");
  return {
    id: String(raw.id),
    name: String(raw.name),
    scope: String(raw.scope),
    value: String(raw.value ?? ""),
    amountUsd: raw.amount_usd,
    spentUsd: raw.spent_usd,
    remainingUsd: raw.remaining_usd,
    isHard: raw.is_hard === true,
    resetsAt,
    outlook: String(raw.outlook ?? ""),
    countsEveryCall: raw.counts_every_call === true,
    countsByRules: raw.counts_by_rules === true,
    raw,
  };
}

/** The first budget that counts the call and refuses it: a hard one with nothing left, until it resets (sdks/contract/budgets.json). */
export function firstRefusing(budgets: readonly ServerBudget[], now: Date, call: CallFacts): ServerBudget | undefined {
  return budgets.find((one) => one.isHard && now < one.resetsAt && isGone(one.remainingUsd) && counts(one, call));
}

function isGone(remaining: string): boolean {
  return remaining.startsWith("-") || unitsOf(remaining) === 0n;
}

function counts(one: ServerBudget, call: CallFacts): boolean {
  if (one.countsEveryCall) return true;
  if (!one.value || one.countsByRules) return false;
  if (one.scope === "user") return one.value === call.user;
  if (one.scope === "tag") return call.tags?.includes(one.value) ?? false;
  if (one.scope === "team") return call.tags?.includes(`team:${one.value}`) ?? false;
  return one.scope === "model" && one.value === call.model?.();
}

export class ServerBudgets {
  /** The last answer; undefined before the first. */
  known: readonly ServerBudget[] | undefined;
  private etag = "";
  private nextAt = 0;
  private reading: Promise<void> | undefined;
  // Taken once: an instrumented global fetch must not see our own requests.
  private readonly fetch = globalThis.fetch.bind(globalThis);

  constructor(
    private readonly settings: Settings,
    private readonly platform: Platform,
    private readonly teller: Teller,
  ) {}

  /** Asks now; the last answer when the server is away. Browsers have no key: there nobody is asked. */
  async read(): Promise<readonly ServerBudget[] | undefined> {
    if (!this.platform.isBrowser && this.settings.apiKey && this.settings.project) await this.once();
    return this.known;
  }

  /** Throws BudgetExceededError when a hard budget refuses the call, by what is known; reads again in the background. */
  check(call: CallFacts): void {
    this.refresh();
    const found = this.known && firstRefusing(this.known, new Date(), call);
    if (!found) return;
    const until = `${found.resetsAt.toISOString().slice(0, 16).replace("T", " ")} UTC`;
    const text = `The budget "${found.name}" of LLMLab is spent (${found.spentUsd} of ${found.amountUsd} USD) until ${until}: the call was not sent.`;
    throw new BudgetExceededError(found.amountUsd, found.spentUsd, text, found.name);
  }

  private refresh(): void {
    if (this.reading || Date.now() < this.nextAt || this.platform.isBrowser) return;
    void this.once();
  }

  private once(): Promise<void> {
    this.reading ??= this.ask().then(
      (wait) => this.done(wait),
      (error) => {
        this.teller.debug(`Budgets could not be read: ${reasonOf(error)}`);
        this.done(AFTER_FAILURE);
      },
    );
    return this.reading;
  }

  private done(wait: number): void {
    this.nextAt = Date.now() + wait * 1000;
    this.reading = undefined;
  }

  private async ask(): Promise<number> {
    const { baseUrl, project, apiKey, timeout } = this.settings;
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(new Error(`no answer within ${timeout} s`)), timeout * 1000);
    try {
      const headers: Record<string, string> = { accept: "application/json", authorization: `Bearer ${apiKey}`, "user-agent": `llmlab-js/${VERSION}` };
      if (this.etag) headers["if-none-match"] = this.etag;
      const response = await this.fetch(`${baseUrl}/api/v1/projects/${encodeURIComponent(project)}/budgets`, { headers, signal: abort.signal, redirect: "manual" });
      if (response.status === 304) return AGAIN;
      const text = await response.text();
      if (response.status === 200) return this.take(text, response.headers.get("etag") ?? "");
      this.teller.once("budgets", `Budgets could not be read, nothing is refused: HTTP ${response.status} ${text.slice(0, 300)}`);
      return AFTER_FAILURE;
    } finally {
      clearTimeout(timer);
    }
  }

  private take(text: string, etag: string): number {
    try {
      const answer = JSON.parse(text);
      this.known = answer.results.map(serverBudgetOf);
      this.etag = etag;
      const wait = Number(answer.poll_after_seconds);
      return wait > 0 && wait <= 3600 ? Math.max(wait, LEAST) : AGAIN;
    } catch {
      this.teller.once("budgets", "Budgets could not be read, nothing is refused: the answer is none this version knows.");
      return AFTER_FAILURE;
    }
  }
}
