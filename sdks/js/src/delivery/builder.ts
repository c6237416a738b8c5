/** Puts steps into their form on the wire: read, masked, as JSON. Runs in the background. */

import type { Json } from "../capture/answer.js";
import type { Source } from "../core/source.js";
import { reasonOf, type Teller } from "../core/tell.js";
import type { LocalTrace } from "../core/trace.js";
import type { Spool } from "./spool_types.js";
import { itemJson, type Unit } from "./unit.js";

const MASKED = ["input", "output", "tools", "metadata"];

export class Builder {
  constructor(
    private readonly mask: (value: unknown) => unknown,
    private readonly spool: Spool | undefined,
    private readonly teller: Teller,
  ) {}

  /** A step as a unit; undefined, told once, for one that cannot be read. */
  unit(source: Source, isLive: boolean): Unit | undefined {
    try {
      const step = source.build();
      for (const key of MASKED) if (key in step) step[key] = this.mask(step[key]);
      if (step.error) step.error = { ...step.error, message: this.mask(step.error.message) };
      const json = JSON.stringify(step);
      const calls = source.isCall && !isLive ? 1 : 0;
      return { kind: "traces", json, trace: source.trace, budget: source.budget, calls, isLive, bytes: json.length, line: undefined };
    } catch (error) {
      this.teller.once("build", `A step could not be read: ${reasonOf(error)}.`);
      return undefined;
    }
  }

  head(trace: LocalTrace): Json {
    return trace.head(this.mask);
  }

  /** Writes units to the spool, if there is one, before they are queued. */
  spooled(units: Unit[]): void {
    if (!this.spool || !units.length) return;
    const lines = this.spool.write(units.map((unit) => itemJson(this.head(unit.trace!), [unit.json!])));
    lines?.forEach((line, at) => (units[at]!.line = line));
  }

  /** The text of a unit, read again where memory gave it up. */
  text(unit: Unit): string | undefined {
    if (unit.json !== undefined) return unit.json;
    const text = unit.line && this.spool?.read(unit.line);
    return unit.kind === "scores" ? text?.slice(9, -1) : text;
  }
}
