/** A step as it waits in memory: references, put into its form on the wire only in the background. */

import type { Json } from "../capture/answer.js";
import type { Budget } from "./budget.js";
import type { LocalTrace } from "./trace.js";

export interface Source {
  readonly id: string;
  readonly trace: LocalTrace;
  readonly startedAt: number;
  readonly isEnded: boolean;
  /** A model was called: it may cost. */
  readonly isCall: boolean;
  readonly budget: Budget | undefined;
  /** Roughly the memory that it holds. */
  readonly size: number;
  /** Its running state was sent. */
  isAnnounced: boolean;
  /** The step with its ids and times, not yet masked. */
  build(): Json;
}
