/** OpenAI's chat completions and the older text completions, whole and streamed. */

import { Answer, byIndex, errorOf, filled, isObject, type Json, mapping, objects, oneOrList, setDefault, text } from "./answer.js";
import type { Event } from "./wire.js";

// Parts of a message that come in pieces to be joined.
const TEXTS = ["content", "refusal", "reasoning_content", "reasoning"];

/** A whole chat completion. */
export function readChat(body: Json): Answer {
  const answer = start(body);
  const choices = objects(body.choices);
  answer.output = oneOrList(choices.filter((choice) => choice.message).map((choice) => choice.message));
  return finish(answer, choices);
}

/** A whole text completion. */
export function readCompletion(body: Json): Answer {
  const answer = start(body);
  const choices = objects(body.choices);
  answer.output = oneOrList(choices.map((choice) => choice.text).filter((said) => typeof said === "string"));
  return finish(answer, choices);
}

function start(body: Json): Answer {
  const answer = new Answer();
  answer.model = text(body.model);
  answer.responseId = text(body.id);
  answer.serviceTier = text(body.service_tier);
  answer.usage = filled(body.usage);
  return answer;
}

function finish(answer: Answer, choices: Json[]): Answer {
  answer.finishReason = text(choices[0]?.finish_reason);
  return answer;
}

/** One choice of a stream as far as it came. */
class Choice {
  message: Json = {};
  calls = new Map<number, Json>();
  finishReason: unknown = undefined;
  text = "";

  /** Takes a delta in; true when it brought something the model wrote. */
  add(delta: Json): boolean {
    let isToken = false;
    if (!("role" in this.message) && text(delta.role)) this.message.role = delta.role;
    for (const name of TEXTS) {
      const piece = delta[name];
      if (typeof piece !== "string") continue;
      this.message[name] = (this.message[name] ?? "") + piece;
      isToken ||= piece !== "";
    }
    const called = filled(delta.function_call);
    if (called) addFunction((this.message.function_call ??= {}), called, "arguments");
    const calls = objects(delta.tool_calls);
    for (const call of calls) this.addCall(call);
    return isToken || called !== undefined || calls.length > 0;
  }

  private addCall(piece: Json): void {
    let index = piece.index;
    if (!Number.isInteger(index)) {
      // Without an index a call that names itself is a new one, another goes on with the last.
      const last = Math.max(-1, ...this.calls.keys());
      index = last + (piece.id || this.calls.size === 0 ? 1 : 0);
    }
    const call = setDefault<Json>(this.calls, index, () => ({}));
    for (const name of ["id", "type"]) if (!(name in call) && text(piece[name])) call[name] = piece[name];
    for (const [name, pieces] of [["function", "arguments"], ["custom", "input"]] as const) {
      if (isObject(piece[name])) addFunction((call[name] ??= {}), piece[name], pieces);
    }
  }

  /** The message; of what a server sends only the keys that came with a value. */
  whole(): Json {
    if (this.calls.size) this.message.tool_calls = byIndex(this.calls).map(([, call]) => call);
    return this.message;
  }
}

function addFunction(target: Json, piece: Json, pieces: string): void {
  if (!("name" in target) && text(piece.name)) target.name = piece.name;
  if (typeof piece[pieces] === "string") target[pieces] = (target[pieces] ?? "") + piece[pieces];
}

/** A chat completion from its chunks. */
export function foldChat(events: Iterable<Event>): Answer {
  const [answer, choices] = fold(events);
  answer.output = oneOrList(byIndex(choices).map(([, part]) => part.whole()));
  return answer;
}

/** A text completion from its chunks. */
export function foldCompletion(events: Iterable<Event>): Answer {
  const [answer, choices] = fold(events);
  answer.output = oneOrList(byIndex(choices).map(([, part]) => part.text));
  return answer;
}

function fold(events: Iterable<Event>): [Answer, Map<number, Choice>] {
  const answer = new Answer();
  const choices = new Map<number, Choice>();
  let isDone = false;
  for (const event of events) {
    isDone ||= event.isDone;
    if (event.data === null) continue;
    if (filled(event.data.error) || event.name === "error") answer.error = errorOf(event.data, "stream_error", "");
    addHead(answer, event.data);
    for (const piece of objects(event.data.choices)) {
      if (addChoice(choices, piece)) answer.firstTokenAt ??= event.at;
    }
  }
  answer.finishReason = text(byIndex(choices)[0]?.[1].finishReason);
  answer.isWhole = isDone || (choices.size > 0 && [...choices.values()].every((choice) => choice.finishReason));
  return [answer, choices];
}

function addHead(answer: Answer, chunk: Json): void {
  answer.model ??= text(chunk.model);
  answer.responseId ??= text(chunk.id);
  answer.serviceTier = text(chunk.service_tier) ?? answer.serviceTier;
  // Some servers tell the usage so far with each chunk: the last one counts.
  answer.usage = filled(chunk.usage) ?? answer.usage;
}

function addChoice(choices: Map<number, Choice>, piece: Json): boolean {
  const choice = setDefault(choices, Number.isInteger(piece.index) ? piece.index : 0, () => new Choice());
  choice.finishReason = piece.finish_reason || choice.finishReason;
  if (typeof piece.text === "string") choice.text += piece.text;
  return choice.add(mapping(piece.delta)) || Boolean(text(piece.text));
}
