// <alert-bell data-socket>: reads the bell again when the organisation's socket says that something changed, every
// minute while there is no socket, and after something was read. Writes the title's count and the favicon's dot.
import { announce } from "./announce.js";
import { showNews } from "./alerts_browser.js";
import { countInTitle } from "./title_count.js";

const POLL_MS = 60_000;
const SOON_MS = 2000;
const LONGEST_MS = 60_000;

class AlertBell extends HTMLElement {
  connectedCallback() {
    if (this.stop) return;
    this.stop = new AbortController();
    const on = (name, handler, target = this) => target.addEventListener(name, handler, { signal: this.stop.signal });
    on("htmx:afterSwap", () => this.read());
    on("htmx:responseError", (event) => { if ([401, 403, 404].includes(event.detail.xhr.status)) this.end(); });
    on("click", () => this.openInbox());
    on("bell:count", () => this.refreshInbox(), document.body);
    on("htmx:afterSwap", (event) => this.keepFocus(event), document);
    this.tries = 0;
    this.connect();
  }

  disconnectedCallback() {
    this.end();
    this.stop.abort();
    this.stop = null;
  }

  // Signed out, or no member any more: nothing is asked for again.
  end() {
    this.over = true;
    clearTimeout(this.again);
    clearTimeout(this.wait);
    clearInterval(this.polling);
    this.socket?.close();
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new WebSocket(`${scheme}//${location.host}${this.dataset.socket}`);
    this.socket.addEventListener("open", () => {
      clearInterval(this.polling);
      this.polling = null;
      if (this.tries) this.soon();
      this.tries = 0;
    });
    this.socket.addEventListener("message", () => this.soon());
    this.socket.addEventListener("close", () => this.lost());
  }

  lost() {
    if (this.over) return;
    this.polling ||= setInterval(() => this.ask(), POLL_MS);
    this.tries += 1;
    const longest = Math.min(LONGEST_MS, 1000 * 2 ** this.tries);
    this.again = setTimeout(() => this.connect(), longest / 2 + Math.random() * longest / 2);
  }

  // The first news at once, what follows within two seconds together.
  soon() {
    if (this.wait || this.over) return;
    const rest = Math.max(0, (this.asked || 0) + SOON_MS - Date.now());
    this.wait = setTimeout(() => {
      this.wait = null;
      this.ask();
    }, rest);
  }

  ask() {
    this.asked = Date.now();
    window.htmx.trigger(document.body, "bell:count");
  }

  read() {
    const state = this.querySelector("[data-bell-state]");
    if (!state) return;
    const unread = Number(state.dataset.unread);
    if (this.unread !== undefined && unread > this.unread) announce(`${unread} unread alert${unread === 1 ? "" : "s"}`);
    this.unread = unread;
    countInTitle("alerts", unread);
    const favicon = document.querySelector("link[rel=icon][data-alert]");
    if (favicon) {
      favicon.dataset.calm ||= favicon.getAttribute("href");
      const wanted = Number(state.dataset.open) ? favicon.dataset.alert : favicon.dataset.calm;
      if (favicon.getAttribute("href") !== wanted) favicon.setAttribute("href", wanted);
    }
    showNews([...state.querySelectorAll("[data-news]")].map((one) => ({ ...one.dataset })));
  }

  get panel() {
    return document.querySelector("#alert-inbox");
  }

  openInbox() {
    const list = this.panel?.querySelector("[data-inbox]");
    if (list) window.htmx.trigger(list, "inbox:open");
  }

  // An open panel shows what is new, unless somebody is about to use something in it.
  refreshInbox() {
    const panel = this.panel;
    if (panel?.open && !panel.querySelector(".inbox")?.contains(document.activeElement)) this.openInbox();
  }

  // The button that marked something read is gone: the list takes the focus.
  keepFocus(event) {
    const inbox = event.detail.elt?.closest?.(".inbox");
    if (inbox && event.detail.requestConfig?.verb === "post" && document.activeElement === document.body) inbox.focus();
  }
}

customElements.define("alert-bell", AlertBell);
