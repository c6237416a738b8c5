/**
 * Built-in masks. They run in one order whatever order they are named in, and use no look-around, so that the three
 * SDKs hide exactly the same (sdks/contract/masks.json).
 */

import { put } from "../capture/answer.js";

/** Gets each text; what it returns is sent instead. */
export type MaskFunction = (text: string) => string;
export type MaskName = "email" | "phone" | "credit_card" | "api_key";
export type Mask = MaskName | MaskFunction;

export const MASK_NAMES: readonly MaskName[] = ["api_key", "email", "credit_card", "phone"];

const EMAIL = /[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}/g;
const API_KEY = new RegExp(
  [
    "\\bsk-[A-Za-z0-9_-]{16,}",
    "\\bllmlab_sk_[A-Za-z0-9_-]{8,}",
    "\\bAKIA[0-9A-Z]{16}\\b",
    "\\bgh[pousr]_[A-Za-z0-9]{20,}",
    "\\bxox[abp]-[A-Za-z0-9-]{10,}",
    "\\bAIza[0-9A-Za-z_-]{20,}",
    "\\bBearer [A-Za-z0-9._~+/=-]{16,}",
  ].join("|"),
  "g",
);
const DIGIT_RUN = /[0-9](?:[ -]?[0-9]){12,}/g;
const PHONE = /\+?[0-9(][0-9 ().\-/]{5,22}[0-9]/g;
const DATE = /^[0-9]{4}-[0-9]{2}-[0-9]{2}/;
const ADDRESS = /^[0-9]{1,3}(?:\.[0-9]{1,3}){3}$/;
const WORD = /[A-Za-z0-9_]/;

const MASKS: Record<MaskName, MaskFunction> = {
  api_key: (text) => text.replace(API_KEY, "[api_key]"),
  email: (text) => (text.includes("@") ? text.replace(EMAIL, "[email]") : text),
  credit_card: (text) => text.replace(DIGIT_RUN, maskedCards),
  phone: (text) =>
    text.replace(PHONE, (found, at: number) => {
      const end = at + found.length;
      const isGlued = WORD.test(text[at - 1] ?? "") || WORD.test(text[end] ?? "");
      return !isGlued && isPhone(found) ? "[phone]" : found;
    }),
};

/** Whole groups of digits that pass as a card's number, the longest sequence from the first group on that has one. */
function maskedCards(run: string): string {
  const groups = [...run.matchAll(/[0-9]+/g)];
  for (let first = 0; first < groups.length; first++) {
    let digits = "";
    let last = -1;
    for (let next = first; next < groups.length && digits.length <= 19; next++) {
      digits += groups[next]![0];
      if (digits.length >= 13 && digits.length <= 19 && passesLuhn(digits)) last = next;
    }
    if (last >= 0) {
      const end = groups[last]!.index + groups[last]![0].length;
      return run.slice(0, groups[first]!.index) + "[credit_card]" + run.slice(end).replace(DIGIT_RUN, maskedCards);
    }
  }
  return run;
}

function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let place = 0; place < digits.length; place++) {
    let digit = digits.charCodeAt(digits.length - 1 - place) - 48;
    if (place % 2 === 1) digit = digit > 4 ? digit * 2 - 9 : digit * 2;
    sum += digit;
  }
  return sum % 10 === 0;
}

function isPhone(found: string): boolean {
  if (DATE.test(found) || ADDRESS.test(found)) return false;
  const groups = found.match(/[0-9]+/g)!;
  const digits = groups.join("").length;
  if (found.startsWith("+")) return digits >= 8 && digits <= 15;
  return groups.length > 1 && (digits === 10 || digits === 11);
}

/** One function for all masks asked for; undefined when there are none. Built-in ones first, then the caller's own. */
export function maskOf(masks: readonly Mask[], onFailure: (error: unknown) => void): MaskFunction | undefined {
  const steps = MASK_NAMES.filter((name) => masks.includes(name)).map((name) => MASKS[name]);
  for (const mask of masks) if (typeof mask === "function") steps.push(guarded(mask, onFailure));
  if (!steps.length) return undefined;
  return (text) => {
    for (const step of steps) text = step(text);
    return text;
  };
}

/** A mask that fails must not let the text through. */
function guarded(mask: MaskFunction, onFailure: (error: unknown) => void): MaskFunction {
  return (text) => {
    try {
      const masked: unknown = mask(text);
      return typeof masked === "string" ? masked : "[masked]";
    } catch (error) {
      onFailure(error);
      return "[masked]";
    }
  };
}

/** Every text in a clean value goes through the mask; keys stay. */
export function masked(value: unknown, mask: MaskFunction): unknown {
  if (typeof value === "string") return mask(value);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => masked(item, mask));
  const result = {};
  for (const key of Object.keys(value)) put(result, key, masked((value as Record<string, unknown>)[key], mask));
  return result;
}
