// The messages in the playground's form: new ones, and an answer that becomes part of the request.
import { announce } from "./announce.js";

export function fresh(root, name) {
  return root.querySelector(`template[data-new="${name}"]`).content.firstElementChild.cloneNode(true);
}

// `more`: what has no field of its own, as JSON.
export function addMessage(root, role, text = "", more = null) {
  const row = fresh(root, "message");
  row.querySelector("[name=role]").value = role;
  row.querySelector("[name=text]").value = text;
  if (more) {
    row.querySelector("[name=more]").value = JSON.stringify(more, null, 2);
    row.querySelector("[data-more]").open = true;
  }
  root.querySelector("[data-messages]").append(row);
  return row;
}

// Then it is the person's turn, or the tools'.
export function goOn(root, message) {
  const calls = message.tool_calls ?? [];
  addMessage(root, "assistant", message.content, calls.length ? { tool_calls: calls } : null);
  const next = calls.length ? calls.map((call) => addMessage(root, "tool", "", { tool_call_id: call.id })) : [addMessage(root, "user")];
  next[0].querySelector("textarea").focus();
  announce(calls.length ? "Write what the tool answers, then run." : "Write the next message, then run.");
}
