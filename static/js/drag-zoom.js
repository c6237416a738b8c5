// <drag-zoom>: choose a part of a time chart and look at it closer. Mouse, touch and keyboard do the same.
//
//   <drag-zoom data-start="2026-11-01T00:00Z" data-end="2026-11-21T00:00Z" data-target="#dashboard">
//     … a chart of core.charts: svg.plot-svg inside .plot, one .col per bin (stacked_bars, volume_strip, lines) …
//   </drag-zoom>
//
// data-start, data-end  the drawn range: left edge of the first bin, right edge of the last (ISO 8601, UTC); or
// data-edges            every border between bins, in order, spaces between: for bins of unequal length (months).
//                       Bins of equal length need no data-edges; a chart without .col is cut to the minute.
// data-target           what the answer replaces (hx-target); without it, or without htmx, the page is opened anew.
// data-swap             hx-swap of that answer; default outerHTML.
// data-url              address with {range} in it; default: the page's own address as it stands in the browser now,
//                       with range=<start>..<end> set and the parameters of data-drop removed.
// data-drop             parameters to remove; default "start end cursor".
//
// Mouse and touch: drag sideways over the chart, let go to zoom, Escape to think again (a vertical swipe still scrolls).
// Keyboard, chart focused: arrows walk, Shift+arrows select, Enter zooms, Escape clears. Back undoes a zoom.
import { announce } from "./announce.js";
import { addressOf, edgesOf, stamp, visit } from "./zoom_range.js";

const HINT = "Shift and arrow keys select a range, Enter zooms in.";
const THRESHOLD = { mouse: 5, pen: 5, touch: 12 };

class DragZoom extends HTMLElement {
  connectedCallback() {
    this.svg = this.querySelector(".plot-svg");
    this.plot = this.svg?.closest(".plot");
    if (!this.plot || this.band) return;
    this.edges = edgesOf(this.dataset, this.columns.length);
    if (this.edges.length < 3) return; // one bin cannot be divided
    this.band = Object.assign(document.createElement("div"), { className: "zoom-band", hidden: true });
    this.band.setAttribute("aria-hidden", "true");
    this.plot.append(this.band);
    const figure = this.querySelector("[data-chart]");
    if (figure) figure.setAttribute("aria-label", `${figure.getAttribute("aria-label") || ""} ${HINT}`.trim());
    this.svg.addEventListener("pointerdown", (e) => this.press(e));
    this.svg.addEventListener("pointermove", (e) => this.drag(e));
    this.svg.addEventListener("pointerup", (e) => this.release(e));
    this.svg.addEventListener("pointercancel", () => this.clear());
    this.svg.addEventListener("dragstart", (e) => e.preventDefault());
    this.addEventListener("click", (e) => this.swallow(e), true);
    this.addEventListener("keydown", (e) => this.keyBefore(e), true);
    this.addEventListener("keydown", (e) => this.keyAfter(e));
    this.addEventListener("focusout", () => { if (this.byKey) this.clear(); });
  }

  get columns() {
    return this.svg.querySelectorAll(".col");
  }

  get lit() {
    return [...this.columns].findIndex((column) => column.classList.contains("on"));
  }

  binAt(clientX) {
    const box = this.svg.getBoundingClientRect();
    const parts = this.edges.length - 1;
    return Math.min(Math.max(Math.floor(((clientX - box.left) / box.width) * parts), 0), parts - 1);
  }

  press(event) {
    if (event.button || !event.isPrimary || event.ctrlKey || event.metaKey || event.shiftKey) return;
    this.clear();
    this.from = event.clientX;
  }

  drag(event) {
    if (this.from === undefined || !event.isPrimary) return;
    if (!this.dragging) {
      if (Math.abs(event.clientX - this.from) < (THRESHOLD[event.pointerType] ?? 5)) return;
      this.dragging = new AbortController();
      this.svg.setPointerCapture(event.pointerId);
      const escape = (e) => { if (e.key === "Escape") this.clear(); };
      document.addEventListener("keydown", escape, { signal: this.dragging.signal });
    }
    this.select(this.binAt(this.from), this.binAt(event.clientX));
  }

  release() {
    const chosen = this.dragging && this.chosen;
    this.letGo = Boolean(this.dragging);
    setTimeout(() => { this.letGo = false; });
    if (chosen) this.zoom();
    else if (!this.byKey) this.clear();
  }

  // The click that ends a drag must not open the bar it ended on.
  swallow(event) {
    if (!this.letGo || !event.isTrusted) return;
    event.preventDefault();
    event.stopPropagation();
  }

  keyBefore(event) {
    if (event.key === "Enter" && this.byKey && this.chosen) {
      event.preventDefault();
      event.stopPropagation();
      this.zoom();
    } else if (event.shiftKey && ["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) {
      if (!this.byKey) this.anchor = this.lit;
      this.byKey = true;
    } else if (event.key !== "Shift") {
      this.clear();
    }
  }

  // The chart's own arrow keys have moved by now (chart_tip.js).
  keyAfter(event) {
    if (!this.byKey || event.key === "Shift" || this.lit < 0) return;
    if (this.anchor < 0) this.anchor = this.lit;
    this.select(this.anchor, this.lit);
    announce(`Selected ${this.words}. Enter zooms in.`);
  }

  select(a, b) {
    this.chosen = [Math.min(a, b), Math.max(a, b)];
    const [first, last] = this.chosen;
    const parts = this.edges.length - 1;
    const svg = this.svg.getBoundingClientRect();
    const frame = this.plot.getBoundingClientRect();
    this.band.style.left = `${svg.left - frame.left + (svg.width * first) / parts}px`;
    this.band.style.width = `${(svg.width * (last - first + 1)) / parts}px`;
    this.band.style.top = `${svg.top - frame.top}px`;
    this.band.style.height = `${svg.height}px`;
    this.band.hidden = false;
  }

  get words() {
    const titles = this.querySelector("chart-tip")?.data?.titles ?? [];
    const [first, last] = this.chosen.map((bin, i) => titles[bin] ?? stamp(this.edges[bin + i]));
    return first === last ? first : `${first} to ${last}`;
  }

  zoom() {
    const [first, last] = this.chosen;
    const href = addressOf(this.dataset, this.edges[first], this.edges[last + 1]);
    announce(`Zooming to ${this.words}.`);
    this.clear();
    this.querySelector("chart-tip")?.hide?.();
    visit(this, href);
  }

  clear() {
    this.dragging?.abort();
    this.dragging = this.from = this.chosen = undefined;
    this.byKey = false;
    if (this.band) this.band.hidden = true;
  }
}

customElements.define("drag-zoom", DragZoom);
