// A call of the gateway's door from the page, and its answer put together from its events.
export class Refused extends Error {}

export class Answer {
  constructor() {
    this.text = "";
    this.thinking = "";
    this.calls = [];
    this.finish = "";
  }

  // A chunk of a stream, or a whole answer: the same fields under another name. Other choices than the first are left out.
  take(document) {
    const choice = document.choices?.find((one) => !one.index);
    if (!choice) return;
    const said = choice.delta ?? choice.message ?? {};
    this.text += said.content ?? said.refusal ?? "";
    this.thinking += said.reasoning_content ?? said.reasoning ?? "";
    for (const [place, call] of (said.tool_calls ?? []).entries()) this.takeCall(call, call.index ?? place);
    this.finish = choice.finish_reason ?? this.finish;
  }

  takeCall(call, place) {
    const known = (this.calls[place] ??= { id: "", type: "function", function: { name: "", arguments: "" } });
    known.id ||= call.id ?? "";
    known.function.name += call.function?.name ?? "";
    known.function.arguments += call.function?.arguments ?? "";
  }

  get isEmpty() {
    return !this.text && !this.calls.length;
  }

  // What is sent back when the conversation goes on.
  get message() {
    const message = { role: "assistant", content: this.text };
    const calls = this.calls.filter(Boolean);
    return calls.length ? { ...message, tool_calls: calls } : message;
  }
}

const words = ({ message, code, type }, status) => [status || "", code ?? type ?? "", message ?? ""].filter(Boolean).join(" · ");

async function refusal(response) {
  let said;
  try {
    said = words((await response.json()).error, response.status);
  } catch {
    said = `${response.status} · The server's answer cannot be read.`;
  }
  const again = response.headers.get("retry-after");
  return new Refused(again ? `${said} Try again in ${again} s.` : said);
}

function* eventsOf(text) {
  for (const block of text.split("\n\n")) {
    const data = block.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim()).join("\n");
    if (data && data !== "[DONE]") yield JSON.parse(data);
  }
}

async function readStream(response, take) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    rest = (rest + (value ?? "")).replaceAll("\r\n", "\n");
    const end = done ? rest.length : rest.lastIndexOf("\n\n");
    if (end > 0) {
      for (const event of eventsOf(rest.slice(0, end))) {
        if (event.error) throw new Refused(words(event.error));
        take(event);
      }
      rest = rest.slice(end);
    }
    if (done) return;
  }
}

// What opens the door for a minute. Throws an Error with words for people.
export async function askPass(url, csrf) {
  let response;
  try {
    response = await fetch(url, { method: "POST", headers: { "X-CSRFToken": csrf, "HX-Request": "true" } });
  } catch {
    throw new Error("The server does not answer. Try again in a moment.");
  }
  if (response.headers.has("HX-Redirect")) throw new Error("You are signed out. Sign in in another tab, then run again.");
  const said = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(said.detail ?? `The server refused (${response.status}). Reload this page.`);
  return said.pass;
}

// Calls the model. `begun(id)` hears the call's id as soon as the head is here, `take` every piece.
// Throws Refused with words for people, and what `fetch` throws.
export async function ask({ pass, request, headers, signal, begun, take }) {
  const response = await fetch("/v1/chat/completions", {
    method: "POST",
    credentials: "omit",
    signal,
    headers: { ...headers, Authorization: `Bearer ${pass}`, "Content-Type": "application/json" },
    body: JSON.stringify(request),
  });
  begun(response.headers.get("x-llmlab-request-id"));
  if (!response.ok) throw await refusal(response);
  if (response.headers.get("content-type")?.startsWith("text/event-stream")) await readStream(response, take);
  else take(await response.json());
}
