/** A limit for what the calls inside a piece of code may cost. The server knows prices: its answers tell what was spent. */

import { decimalOf, unitsOf } from "./decimal.js";

/** Thrown before a call that a budget no longer allows; the call was not sent. */
export class BudgetExceededError extends Error {
  override readonly name = "BudgetExceededError";

  constructor(
    readonly limitUsd: string,
    readonly spentUsd: string,
    reason: string,
    /** Of a budget set in LLMLab; empty for one of the program. */
    readonly budgetName = "",
  ) {
    super(reason);
  }
}

export interface BudgetOptions {
  /** US dollars; text keeps every digit. */
  usd: number | string;
  /** What happens to a call while the cost of earlier ones is not known: no answer from LLMLab, or no price. */
  onUnknown?: "allow" | "block";
}

export class Budget {
  private spent = 0n;
  /** Steps that ended and whose cost the server has not told. */
  private pending = 0;
  private unknown = 0;

  private constructor(
    private readonly limit: bigint,
    private readonly blocksUnknown: boolean,
    private readonly outer: Budget | undefined,
  ) {}

  /** Throws a RangeError for a limit that is none: that is a mistake in the program, told where it is made. */
  static open(options: BudgetOptions, outer: Budget | undefined): Budget {
    const limit = unitsOf(options.usd);
    if (limit === undefined || limit < 0n) throw new RangeError(`budget: usd must be a decimal from 0, not ${String(options.usd)}`);
    return new Budget(limit, options.onUnknown === "block", outer);
  }

  get spentUsd(): string {
    return decimalOf(this.spent);
  }

  get limitUsd(): string {
    return decimalOf(this.limit);
  }

  get remainingUsd(): string {
    return decimalOf(this.spent < this.limit ? this.limit - this.spent : 0n);
  }

  private *chain(): Generator<Budget> {
    for (let budget: Budget | undefined = this; budget; budget = budget.outer) yield budget;
  }

  get isSettled(): boolean {
    return this.pending === 0;
  }

  /** A call ended: its cost will be told. */
  ended(): void {
    for (const budget of this.chain()) budget.pending++;
  }

  /** The server told what some calls cost (null: nothing), and of how many it never will. */
  settled(calls: number, cost: string | null | undefined, unknown: number): void {
    const units = unitsOf(cost) ?? 0n;
    for (const budget of this.chain()) {
      budget.pending = Math.max(0, budget.pending - calls);
      budget.unknown += unknown;
      budget.spent += units;
    }
  }

  /** Throws when what is known forbids another call; `isFinal` after the server was asked. */
  check(isFinal: boolean): void {
    for (const budget of this.chain()) {
      if (budget.spent >= budget.limit) {
        const text = `The budget of ${budget.limitUsd} USD is spent (${budget.spentUsd} USD): the call was not sent.`;
        throw new BudgetExceededError(budget.limitUsd, budget.spentUsd, text);
      }
      if (isFinal && budget.blocksUnknown && (budget.pending > 0 || budget.unknown > 0)) {
        const text = `What earlier calls cost is not known, and this budget of ${budget.limitUsd} USD blocks then: the call was not sent.`;
        throw new BudgetExceededError(budget.limitUsd, budget.spentUsd, text);
      }
    }
  }
}
