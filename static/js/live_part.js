// <live-part data-every="30" hx-get hx-trigger="refresh" …>: asks again every so many seconds and at once when the page
// hears of news ("bell:count" on the document). Not while somebody chooses rows, writes, or reads an open detail; an
// answer that comes after somebody began is dropped, too: it would take away what was typed meanwhile. The keyboard's
// focus finds its place again by an id; on anything without one, its person is left in peace.
const BUSY = 'input[type="checkbox"]:checked, details[open], dialog[open], .htmx-request, [data-chart]:focus, :focus-visible:not([id])';
const TYPED = "textarea, input[type=text], input:not([type])";

class LivePart extends HTMLElement {
  connectedCallback() {
    this.stop = new AbortController();
    document.addEventListener("bell:count", () => this.refresh(), { signal: this.stop.signal });
    document.addEventListener("htmx:beforeRequest", (event) => this.yieldTo(event), { signal: this.stop.signal });
    this.addEventListener("htmx:beforeSwap", (event) => this.keepWork(event), { signal: this.stop.signal });
    this.timer = setInterval(() => this.refresh(), Number(this.dataset.every || 30) * 1000);
  }

  disconnectedCallback() {
    this.stop?.abort();
    clearInterval(this.timer);
  }

  get isBusy() {
    if (this.querySelector(BUSY)) return true;
    return [...this.querySelectorAll(TYPED)].some((field) => field.value || field === document.activeElement);
  }

  // What an act or a filter answers is newer than what was asked for before it.
  yieldTo({ detail }) {
    if (detail.elt !== this && detail.target === this) window.htmx.trigger(this, "htmx:abort");
  }

  keepWork(event) {
    if (event.detail.requestConfig.elt === this && this.isBusy) event.detail.shouldSwap = false;
  }

  refresh() {
    if (!document.hidden && !this.isBusy) this.dispatchEvent(new Event("refresh"));
  }
}

customElements.define("live-part", LivePart);
