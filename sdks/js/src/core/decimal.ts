/** Exact sums of money: decimals as whole numbers of 10^-18. */

const PLACES = 18;
const DECIMAL = /^([+-]?)(\d{1,30})(?:\.(\d{1,60}))?(?:[eE]([+-]?\d{1,3}))?$/;

/** Units of 10^-18; undefined for what is no decimal. Digits beyond the 18th round up: a budget is never overdrawn by rounding. */
export function unitsOf(value: unknown): bigint | undefined {
  if (typeof value === "bigint") return value * 10n ** BigInt(PLACES);
  const found = DECIMAL.exec(typeof value === "number" ? String(value) : typeof value === "string" ? value.trim() : "");
  if (!found) return undefined;
  const [, sign, whole, fraction = "", exponent = "0"] = found;
  const shift = PLACES - fraction.length + Number(exponent);
  const digits = BigInt(whole! + fraction);
  let units: bigint;
  if (shift >= 0) {
    units = digits * 10n ** BigInt(shift);
  } else {
    const divisor = 10n ** BigInt(-shift);
    units = (digits + divisor - 1n) / divisor;
  }
  return sign === "-" ? -units : units;
}

/** The shortest decimal text. */
export function decimalOf(units: bigint): string {
  const digits = (units < 0n ? -units : units).toString().padStart(PLACES + 1, "0");
  const fraction = digits.slice(-PLACES).replace(/0+$/, "");
  return (units < 0n ? "-" : "") + digits.slice(0, -PLACES) + (fraction && `.${fraction}`);
}
