// <live-status>: the state of the page's websocket (htmx `ws` extension), always visible.
//   live → frames are applied · paused (by hand or hidden tab) → frames are dropped and counted, then re-read
//   reconnecting → the extension is trying · offline → no socket for 10 s or refused: "live:poll" fires every data-poll s
// Pages listen on body: "live:resync" (read what was missed) and "live:poll". A frame marks new rows with data-new.
import { announce } from "./announce.js";
import { countInTitle } from "./title_count.js";

const TEXT = { connecting: "Connecting", live: "Live", reconnecting: "Reconnecting" };
const AWAY_MS = 10_000;
const RETRY_CODES = [1006, 1011, 1012, 1013];

class LiveStatus extends HTMLElement {
  connectedCallback() {
    if (this.stop) return;
    this.stop = new AbortController();
    const on = (name, handler, target = document) => target.addEventListener(name, handler, { signal: this.stop.signal });
    this.missed = 0;
    on("htmx:wsOpen", () => this.opened());
    on("htmx:wsClose", (e) => this.closed(e.detail.event?.code));
    on("htmx:wsBeforeMessage", (e) => this.message(e));
    on("visibilitychange", () => { if (!document.hidden && !this.byHand) this.resume(); });
    on("click", (e) => { if (e.target.closest("[data-live-toggle]")) this.toggle(); }, this);
    this.away = setTimeout(() => this.offline(), AWAY_MS);
    this.write(this.dataset.state || "connecting");
  }

  disconnectedCallback() {
    this.stop?.abort();
    this.stop = null;
    clearTimeout(this.away);
    clearInterval(this.polling);
    this.count(0);
  }

  opened() {
    clearTimeout(this.away);
    clearInterval(this.polling);
    this.polling = null;
    const returned = this.wasOpen;
    this.wasOpen = true;
    this.write(this.byHand ? "paused" : "live");
    if (returned) this.tell("live:resync");
  }

  closed(code) {
    clearTimeout(this.away);
    if (!RETRY_CODES.includes(code)) {
      this.offline();
      return;
    }
    if (this.dataset.state !== "offline") this.write("reconnecting");
    this.away = setTimeout(() => this.offline(), AWAY_MS);
  }

  offline() {
    if (this.polling) return;
    const now = new Date();
    this.since = `${String(now.getHours()).padStart(2, "0")}:${String(now.getMinutes()).padStart(2, "0")}`;
    this.write("offline");
    this.polling = setInterval(() => {
      if (!document.hidden && !this.byHand) this.tell("live:poll");
    }, Number(this.dataset.poll || 5) * 1000);
  }

  message(event) {
    if (!this.byHand && !document.hidden) return;
    event.preventDefault();
    const fresh = (String(event.detail.message).match(/\sdata-new[\s=>]/g) || []).length;
    this.dropped = true;
    this.count(this.missed + fresh);
    if (this.byHand) this.write("paused");
  }

  toggle() {
    this.byHand = !this.byHand;
    if (this.byHand) this.write("paused");
    else this.resume();
  }

  resume() {
    const behind = this.dropped;
    this.dropped = false;
    this.count(0);
    this.write(this.polling ? "offline" : this.wasOpen ? "live" : "connecting");
    if (behind || this.polling) this.tell("live:resync");
  }

  tell(name) {
    document.body.dispatchEvent(new CustomEvent(name, { bubbles: true }));
  }

  count(missed) {
    this.missed = missed;
    countInTitle("live", missed);
  }

  write(state) {
    const text = state === "paused" ? (this.missed ? `Paused · ${this.missed} new` : "Paused")
      : state === "offline" ? `Offline since ${this.since ?? "now"}` : TEXT[state];
    if (this.dataset.state !== state && ["offline", "live"].includes(state) && this.spoken) announce(`Live updates: ${text}`);
    this.spoken = true;
    this.dataset.state = state;
    const label = this.querySelector("[data-live-text]");
    if (label) label.textContent = text;
    this.querySelector("[data-live-toggle]")?.setAttribute("aria-pressed", String(Boolean(this.byHand)));
  }
}

customElements.define("live-status", LiveStatus);
