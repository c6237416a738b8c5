// <trace-waterfall data-scale data-only>: what the server cannot do for an open waterfall.
// Running bars grow with the clock, bars follow when the trace becomes longer (SVG attributes, no styles), a click
// anywhere on a row opens it, and where the step is shown below the timeline the page goes there.
// On an axis with folded pauses (data-scale="fold") only the server knows where bars stand.
import { duration } from "./live_clock.js";

const ROOM = 13; // percent of the lane that a label needs: traces.waterfall.LABEL_ROOM
const MIN_WIDTH = 0.4;
const TICK_MS = 250;
const MARKS = 7;
const pc = (value) => `${Math.round(value * 1000) / 1000}%`;

class TraceWaterfall extends HTMLElement {
  connectedCallback() {
    if (this.timer) return;
    this.loaded = performance.now();
    this.addEventListener("click", (e) => this.click(e));
    this.onSwap = (e) => this.show(e);
    document.body.addEventListener("htmx:afterSettle", this.onSwap);
    this.timer = setInterval(() => { if (!document.hidden && this.isRunning) this.rescale(); }, TICK_MS);
    for (const row of this.rows) row.seen = this.loaded;
    this.toSelected();
  }

  disconnectedCallback() {
    clearInterval(this.timer);
    document.body.removeEventListener("htmx:afterSettle", this.onSwap);
    this.timer = null;
  }

  // A link to a step leads to its row, wherever that is in a long list.
  toSelected() {
    if (!new URLSearchParams(location.search).has("step") || location.hash) return;
    const row = this.querySelector("[aria-selected=true]");
    const box = row?.getBoundingClientRect();
    if (box && (box.top > innerHeight - box.height || box.bottom < 0)) row.scrollIntoView({ block: "center" });
  }

  get rows() {
    return this.querySelectorAll("[role=treeitem]");
  }

  get isFiltered() {
    return Boolean(this.dataset.only) || this.dataset.scale === "fold";
  }

  get isRunning() {
    return this.extent?.hasAttribute("data-running") && this.dataset.scale === "time";
  }

  get extent() {
    return this.querySelector("#wf-extent");
  }

  click(event) {
    const row = event.target.closest("[role=treeitem]");
    if (!row || event.target.closest("a, button, [data-twist]")) return;
    row.querySelector("[data-open]")?.click();
  }

  show({ detail: { target, requestConfig } }) {
    if (target?.id !== "step-detail" || !requestConfig?.elt?.matches("[data-open]")) return;
    if (target.getBoundingClientRect().top < this.getBoundingClientRect().bottom) return; // beside it: already in view
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    target.scrollIntoView({ block: "start", behavior: isCalm ? "auto" : "smooth" });
  }

  // A running row's length now: what the server measured plus the time since it was drawn here.
  lengthOf(row, now) {
    row.seen ??= now;
    return Number(row.dataset.ms) + (row.hasAttribute("data-running") ? now - row.seen : 0);
  }

  rescale() {
    const { extent } = this;
    if (!extent || this.dataset.scale === "fold") return;
    if (this.dataset.scale === "cost") this.byCost(Number(extent.dataset.total));
    else this.byTime(Number(extent.dataset.start), Number(extent.dataset.length));
  }

  byCost(total) {
    for (const row of this.rows) this.draw(row, 0, total ? (Number(row.dataset.cost || 0) / total) * 100 : 0, 0, null);
  }

  byTime(start, length) {
    const now = performance.now();
    const rows = [...this.rows].map((row) => [row, Number(row.dataset.at), this.lengthOf(row, now)]);
    const end = Math.max(start + length, ...rows.map(([, at, ms]) => at + ms));
    const span = Math.max(end - start, 0.001);
    for (const [row, at, ms] of rows) {
      const first = (Math.min(Number(row.dataset.first || 0), ms) / span) * 100;
      const text = row.hasAttribute("data-running") ? `${duration(ms)}…` : null;
      this.draw(row, ((at - start) / span) * 100, Math.max((ms / span) * 100, MIN_WIDTH), first, text);
      for (const part of row.querySelectorAll("rect.ph")) {
        part.setAttribute("x", pc(((at + Number(part.dataset.from) - start) / span) * 100));
        part.setAttribute("width", pc((Number(part.dataset.ms) / span) * 100));
      }
    }
    this.axis(span);
  }

  draw(row, x, width, first, text) {
    const [bar, pale] = row.querySelectorAll(".wf-lane rect:not(.ph)");
    const label = row.querySelector(".wf-lane text");
    if (!bar || !label) return;
    x = Math.min(Math.max(x, 0), 100 - MIN_WIDTH);
    width = Math.min(width, 100 - x);
    bar.setAttribute("x", pc(x));
    bar.setAttribute("width", pc(width));
    pale?.setAttribute("x", pc(x));
    pale?.setAttribute("width", pc(first));
    const isBeside = row.querySelector("rect.ph") && (x + width + ROOM <= 100 || x >= ROOM);
    const place = width >= ROOM && !isBeside ? "in" : x + width + ROOM <= 100 ? "after" : "before";
    label.setAttribute("x", pc(place === "before" ? x : x + width));
    label.setAttribute("dx", place === "after" ? 6 : -6);
    label.setAttribute("text-anchor", place === "after" ? "start" : "end");
    const quiet = bar.matches(".agent, .cache, .run");
    label.setAttribute("class", `dur${place === "in" ? (quiet ? " soft" : " in") : row.hasAttribute("data-error") ? " bad" : ""}`);
    if (text !== null) label.textContent = text;
  }

  axis(span) {
    const step = niceStep(span / MARKS);
    if (this.drawn === `${step}/${Math.round(span)}`) return;
    this.drawn = `${step}/${Math.round(span)}`;
    const marks = [];
    for (let at = 0; at <= span * 0.97 && marks.length < MARKS + 2; at += step) marks.push(at);
    const svg = (name, attributes, text = "") => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      made.textContent = text;
      return made;
    };
    this.querySelector("[data-axis]")?.replaceChildren(...marks.map((at) =>
      svg("text", { x: pc((at / span) * 100), y: 11, "text-anchor": at ? "middle" : "start" }, at ? words(at) : "0")));
    this.querySelector("[data-ticks]")?.replaceChildren(...marks.map((at) =>
      svg("line", { class: "tick", x1: pc((at / span) * 100), x2: pc((at / span) * 100), y1: 0, y2: "100%" })));
  }
}

function niceStep(raw) {
  if (raw > 30_000) {
    for (const minutes of [1, 2, 5, 10, 15, 30, 60, 120, 360, 720, 1440]) if (minutes * 60_000 >= raw) return minutes * 60_000;
  }
  const magnitude = 10 ** Math.floor(Math.log10(Math.max(raw, 0.001)));
  return [1, 2, 5, 10].map((factor) => magnitude * factor).find((step) => step >= raw);
}

function words(ms) {
  return ms >= 1000 && ms < 60_000 ? `${Math.round(ms) / 1000} s` : ms < 1 ? `${ms} ms` : duration(ms);
}

customElements.define("trace-waterfall", TraceWaterfall);
