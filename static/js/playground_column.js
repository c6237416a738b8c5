// One model of the playground and its answer: asked, shown while it comes, and what the gateway recorded of it.
import { Answer, Refused, ask } from "./playground_stream.js";

const LOOK_MS = [60, 120, 250, 500, 1000];
const PATIENCE_MS = 20_000;
// Of a call that was stopped before its head was here the page knows no id: the list of runs will have it.
const LATER_MS = [1000, 4000, 15_000];
// A call that was stopped may be finished for the record first.
const DRAIN_MS = 120_000;
const wait = (ms) => new Promise((done) => { setTimeout(done, ms); });
// The door writes ids without the hyphens that addresses of pages have.
const hyphened = (id) => id.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;

export class Column {
  constructor(element, page) {
    this.element = element;
    this.page = page;
    this.answer = new Answer();
  }

  find(name) {
    return this.element.querySelector(`[data-${name}]`);
  }

  get model() {
    return this.element.querySelector("[name=model]");
  }

  get isRunning() {
    return Boolean(this.stopper);
  }

  say(text) {
    this.find("state").textContent = text;
  }

  reset() {
    this.answer = new Answer();
    this.id = "";
    for (const name of ["answer", "thinking-text", "calls", "result"]) this.find(name).replaceChildren();
    for (const name of ["answer", "thinking", "calls", "failure", "after"]) this.find(name).hidden = true;
    this.element.setAttribute("aria-label", `Answer of ${this.model.value}`);
    this.say("Waiting…");
  }

  stop() {
    this.wasStopped = true;
    this.stopper?.abort();
  }

  // Resolves when the answer is here or failed; what it cost is looked up behind it.
  async run(pass, { request, headers }) {
    this.reset();
    this.wasStopped = false;
    this.stopper = new AbortController();
    this.toggle(true);
    const began = performance.now();
    let first = 0;
    const take = (document) => {
      this.answer.take(document);
      if (!first && !(this.answer.isEmpty && !this.answer.thinking)) {
        first = performance.now() - began;
        this.say(`First token after ${seconds(first)}…`);
      }
      this.draw();
    };
    try {
      await ask({
        pass,
        headers,
        request: { ...request, model: this.model.value.trim() },
        signal: this.stopper.signal,
        begun: (id) => { this.id = id; },
        take,
      });
      this.say(this.ending(performance.now() - began));
    } catch (error) {
      this.fail(error);
    }
    this.stopper = null;
    this.toggle(false);
    this.find("after").hidden = this.answer.isEmpty;
    this.find("continue-text").textContent = this.answer.calls.length ? "Answer its tool calls" : "Go on with this answer";
    this.look();
  }

  ending(ms) {
    const { finish, isEmpty } = this.answer;
    const why = finish === "length" ? " It was cut: the limit of tokens was reached." : finish === "content_filter" ? " The provider's filter ended it." : "";
    return `${isEmpty ? "An empty answer" : "Whole answer"} after ${seconds(ms)} here.${why}`;
  }

  fail(error) {
    if (this.wasStopped) {
      this.say(this.id ? "Stopped." : "Stopped before it began; your last runs say how it ended.");
      return;
    }
    this.say("Failed.");
    this.find("failure").hidden = false;
    this.find("failure-text").textContent = error instanceof Refused ? error.message : "The connection broke off. Is the server there?";
  }

  toggle(isRunning) {
    this.element.querySelector('[data-do="stop-one"]').hidden = !isRunning;
    this.element.setAttribute("aria-busy", String(isRunning));
  }

  draw() {
    const { text, thinking, calls } = this.answer;
    this.put("answer", text);
    this.put("thinking-text", thinking);
    this.find("answer").hidden = !text;
    this.find("thinking").hidden = !thinking;
    this.find("calls").hidden = !calls.length;
    for (const [place, call] of calls.entries()) {
      if (!call) continue;
      const box = this.find("calls").children[place] ?? this.find("calls").appendChild(this.callBox());
      box.querySelector("b").textContent = call.function.name;
      box.querySelector("pre").textContent = call.function.arguments;
    }
  }

  // Text that only grows is added to, so that a long answer is not written again with each token.
  put(name, text) {
    const place = this.find(name);
    const node = place.firstChild ?? place.appendChild(document.createTextNode(""));
    if (text.length > node.length) node.appendData(text.slice(node.length));
  }

  callBox() {
    const box = document.createElement("div");
    box.className = "msg";
    const [head, name, body] = ["header", "b", "pre"].map((tag) => document.createElement(tag));
    head.append("Calls ", name);
    box.append(head, body);
    return box;
  }

  // Cost, tokens, times and the route's decision, from the record.
  async look() {
    const id = this.id;
    const until = performance.now() + (this.wasStopped ? DRAIN_MS : PATIENCE_MS);
    for (let turn = 0; id && id === this.id && performance.now() < until; turn += 1) {
      await wait(LOOK_MS[Math.min(turn, LOOK_MS.length - 1)]);
      const response = await fetch(`${this.page.dataset.runs}${hyphened(id)}/`, { headers: { "HX-Request": "true" } }).catch(() => null);
      if (id !== this.id) return;
      if (response?.status === 200) {
        const place = this.find("result");
        place.innerHTML = await response.text();
        window.htmx.process(place);
        break;
      }
      if (response && response.status !== 202) break;
    }
    this.page.ran();
    if (!id && this.wasStopped) for (const ms of LATER_MS) setTimeout(() => this.page.ran(), ms);
  }
}
