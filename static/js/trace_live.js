// <trace-live data-changes data-steps>: keeps an open trace equal to the database.
// A frame goes from one sequence number to the next. It is applied only on top of the number it starts from; anything
// else asks the server ({"seq": n}) for what is missing. Without a socket "live:poll" reads the same frames over HTTP.
import { announce } from "./announce.js";
import { placeRows, replacePiece } from "./trace_rows.js";

const SAY_EVERY_MS = 5000;
const RENEW_MS = 3000;

class TraceLive extends HTMLElement {
  connectedCallback() {
    if (this.stop) return;
    this.stop = new AbortController();
    const on = (name, handler, target = document) => target.addEventListener(name, handler, { signal: this.stop.signal });
    on("htmx:wsOpen", (e) => { this.socket = e.detail.socketWrapper; this.tell({ seq: this.seq }); });
    on("htmx:wsClose", () => { this.socket = null; });
    on("htmx:wsBeforeMessage", (e) => this.message(e));
    on("live:resync", () => (this.socket ? this.tell({ seq: this.seq }) : this.poll()), document.body);
    on("live:poll", () => this.poll(), document.body);
  }

  disconnectedCallback() {
    this.stop?.abort();
    this.stop = null;
  }

  get seq() {
    return Number(document.getElementById("trace-seq")?.dataset.seq || 0);
  }

  tell(message) {
    this.socket?.sendImmediately(JSON.stringify(message));
  }

  message(event) {
    const paused = event.defaultPrevented;
    event.preventDefault();
    const frame = this.read(event.detail.message);
    if (!frame) return;
    this.tell({ ack: frame.seq });
    if (paused || frame.seq <= this.seq) return;
    if (frame.from > this.seq) this.tell({ seq: this.seq });
    else this.apply(frame);
  }

  async poll() {
    if (this.polling) return;
    this.polling = true;
    try {
      const answer = await fetch(`${this.dataset.changes}?after=${this.seq}`, { headers: { "X-Requested-With": "fetch" } });
      if (answer.status !== 200 || answer.redirected) return;
      const frame = this.read(await answer.text());
      if (frame && frame.from <= this.seq) this.apply(frame);
    } catch { /* offline: the badge says so, the next poll tries again */ } finally {
      this.polling = false;
    }
  }

  read(html) {
    const box = document.createElement("template");
    box.innerHTML = html;
    const mark = box.content.querySelector("#trace-seq");
    if (!mark) return null;
    return { box: box.content, mark, from: Number(mark.dataset.from), seq: Number(mark.dataset.seq) };
  }

  apply({ box, mark }) {
    const rows = [...box.querySelectorAll(".wf-row")];
    for (const piece of [...box.children]) {
      if (!piece.classList.contains("wf-row")) replacePiece(piece);
    }
    const waterfall = this.querySelector("trace-waterfall");
    if (waterfall && mark.hasAttribute("data-reload") || (rows.length && waterfall?.isFiltered)) this.reload();
    else if ((rows.length || mark.hasAttribute("data-reload")) && !placeRows(rows)) this.renew();
    this.querySelector("trace-waterfall")?.rescale();
    this.refreshPane(rows);
    this.say(rows);
  }

  // The other views are drawn again as a whole, not more than every few seconds.
  renew() {
    if (this.renewing) return;
    this.renewing = setTimeout(() => {
      this.renewing = null;
      if (!document.getElementById("steps")) window.htmx.ajax("GET", location.href, { target: "#trace-view", swap: "outerHTML" });
    }, RENEW_MS);
  }

  reload() {
    clearTimeout(this.later);
    this.later = setTimeout(() => {
      window.htmx.ajax("GET", `${this.dataset.steps}${location.search}`, { target: "#waterfall", swap: "outerHTML" });
    }, 300);
  }

  refreshPane(rows) {
    const pane = document.querySelector("#step-detail [data-pane-step]");
    const row = pane && rows.find((one) => one.dataset.step === pane.dataset.paneStep);
    if (!row || document.getElementById("step-detail").contains(document.activeElement)) return;
    const tab = document.querySelector("#step-detail .tabs [aria-current]");
    if (tab) window.htmx.ajax("GET", tab.getAttribute("hx-get"), { target: "#step-detail", swap: "innerHTML" });
  }

  say(rows) {
    const failed = rows.filter((row) => row.hasAttribute("data-error") && !this.told?.has(row.id));
    this.told = new Set([...(this.told || []), ...failed.map((row) => row.id)]);
    if (!failed.length || Date.now() - (this.saidAt || 0) < SAY_EVERY_MS) return;
    this.saidAt = Date.now();
    const name = failed[failed.length - 1].querySelector(".t")?.textContent.trim();
    announce(failed.length === 1 ? `Step ${name} failed` : `${failed.length} steps failed`);
  }
}

customElements.define("trace-live", TraceLive);
