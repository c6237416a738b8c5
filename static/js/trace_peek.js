// <trace-peek> around the list: a click on a row's link opens the peek beside it ([data-peek] is its address), j and k
// walk on, o opens the whole trace, Escape closes. A click with a modifier, or without this file, follows the link.
class TracePeek extends HTMLElement {
  connectedCallback() {
    this.stop = new AbortController();
    const { signal } = this.stop;
    this.addEventListener("click", (event) => this.clicked(event));
    document.addEventListener("keydown", (event) => this.key(event), { signal, capture: true });
    document.body.addEventListener("htmx:afterSettle", () => this.mark(), { signal });
    this.mark();
  }

  disconnectedCallback() {
    this.stop?.abort();
  }

  get panel() {
    return this.querySelector("#peek");
  }

  get isOpen() {
    return Boolean(this.panel?.firstElementChild);
  }

  get shown() {
    return new URL(location.href).searchParams.get("peek");
  }

  get rows() {
    return [...this.querySelectorAll("[data-peek]")];
  }

  clicked(event) {
    if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const close = event.target.closest("[data-peek-close]");
    const row = event.target.closest("[data-peek]");
    if (close && window.htmx) {
      event.preventDefault();
      this.close(close.href);
    } else if (row && window.htmx) {
      event.preventDefault();
      this.open(row);
    }
  }

  open(row) {
    const address = `${row.dataset.peek}${this.isOpen ? "&walk=1" : ""}`;
    this.from = row;
    window.htmx.ajax("GET", address, { source: this.panel, target: this.panel, swap: "innerHTML" });
  }

  close(href) {
    const { shown } = this;
    this.panel.replaceChildren();
    history.replaceState(history.state, "", href);
    this.mark();
    const row = this.rows.find((one) => one.closest("tr")?.dataset.trace === shown) || this.from;
    row?.focus();
  }

  key(event) {
    if (!this.isOpen || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest?.("input, textarea, select, [contenteditable]") || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      this.close(this.panel.querySelector("[data-peek-close]").href);
    } else if (event.key === "j" || event.key === "k") {
      event.preventDefault();
      event.stopPropagation();
      const rows = this.rows;
      const at = rows.findIndex((one) => one.closest("tr").dataset.trace === this.shown);
      const next = rows[at + (event.key === "j" ? 1 : -1)];
      if (next) {
        next.focus();
        this.open(next);
      }
    }
  }

  mark() {
    for (const row of this.querySelectorAll("tr[data-trace]")) {
      row.toggleAttribute("data-peeked", this.isOpen && row.dataset.trace === this.shown);
    }
  }
}

customElements.define("trace-peek", TracePeek);
