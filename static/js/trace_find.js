// <trace-find data-rows data-keep>: walks the matches of the search in a trace (#find-results [data-hits]).
// The links work by themselves; here a match that is not drawn (a closed or unloaded part of the tree) is fetched with
// the way to it open, instead of a new page. Enter goes on, Shift+Enter back, Escape clears.
const SETTLE_MS = 3000;

class TraceFind extends HTMLElement {
  connectedCallback() {
    if (this.stop) return;
    this.stop = new AbortController();
    const signal = this.stop.signal;
    this.addEventListener("click", (e) => {
      const go = e.target.closest("[data-find-go]");
      if (!go || e.ctrlKey || e.metaKey) return;
      e.preventDefault();
      this.go(Number(go.dataset.findGo));
    }, { signal });
    this.addEventListener("keydown", (e) => this.key(e), { signal });
    this.addEventListener("submit", (e) => e.preventDefault(), { signal });
    document.body.addEventListener("htmx:afterSettle", (e) => {
      if (e.detail.target?.id === "find-results" || e.detail.target?.closest?.("#steps")) this.mark();
    }, { signal });
  }

  disconnectedCallback() {
    this.stop?.abort();
    this.stop = null;
  }

  get hits() {
    return (this.querySelector("[data-hits]")?.dataset.hits || "").split(" ").filter(Boolean);
  }

  get tree() {
    return this.closest("tree-nav");
  }

  key(event) {
    const input = event.target.closest("[data-find]");
    if (!input) return;
    if (event.key === "Enter") {
      event.preventDefault();
      if (this.hits.length) this.go(event.shiftKey ? -1 : 1);
    } else if (event.key === "Escape" && input.value) {
      event.preventDefault();
      input.value = "";
      this.querySelector("#find-results").replaceChildren();
      this.mark();
    }
  }

  mark() {
    const hits = new Set(this.hits);
    for (const row of this.tree.querySelectorAll("[role=treeitem]")) row.classList.toggle("hit", hits.has(row.dataset.step));
  }

  async go(by) {
    const { hits } = this;
    if (!hits.length) return;
    const at = hits.indexOf(this.current ?? this.tree.querySelector("[aria-selected=true]")?.dataset.step);
    const next = at < 0 ? (by > 0 ? 0 : hits.length - 1) : (at + by + hits.length) % hits.length;
    this.current = hits[next];
    const label = this.querySelector("[data-find-at]");
    if (label) label.textContent = `${(next + 1).toLocaleString("en")} of ${hits.length.toLocaleString("en")}`;
    await this.show(this.current);
  }

  row(id) {
    return this.tree.querySelector(`[data-step="${CSS.escape(id)}"]`);
  }

  async show(id) {
    if (!this.row(id)) {
      const query = new URLSearchParams(this.dataset.keep);
      query.delete("only");
      query.set("part", "steps");
      query.set("step", id);
      const settled = new Promise((done) => {
        document.body.addEventListener("htmx:afterSettle", done, { once: true });
        setTimeout(done, SETTLE_MS);
      });
      await window.htmx.ajax("GET", `${this.dataset.rows}?${query}`, { target: "#steps", swap: "innerHTML" });
      await settled; // only then do the new rows open in place
    }
    const row = this.row(id);
    if (!row) return;
    this.tree.reveal(row);
    this.mark();
    row.scrollIntoView({ block: "center" });
    row.querySelector("[data-open]")?.click();
  }
}

customElements.define("trace-find", TraceFind);
