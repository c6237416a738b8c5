// <trace-activity data-refresh="#new-traces">: a project's socket says that something was recorded; the page then asks
// how much of it is new for its filters, at most every two seconds. Rows never move by themselves.
const EVERY_MS = 2000;

class TraceActivity extends HTMLElement {
  connectedCallback() {
    this.stop = new AbortController();
    const on = (name, handler) => document.addEventListener(name, handler, { signal: this.stop.signal });
    on("htmx:wsBeforeMessage", (event) => {
      if (event.defaultPrevented) return;
      event.preventDefault();
      this.soon();
    });
    on("htmx:wsOpen", () => this.soon());
  }

  disconnectedCallback() {
    this.stop?.abort();
    clearTimeout(this.timer);
  }

  soon() {
    if (this.timer) return;
    const wait = Math.max(0, (this.last || 0) + EVERY_MS - Date.now());
    this.timer = setTimeout(() => {
      this.timer = null;
      this.last = Date.now();
      const target = document.querySelector(this.dataset.refresh);
      if (target) window.htmx.trigger(target, "refresh");
    }, wait);
  }
}

customElements.define("trace-activity", TraceActivity);
