// <filter-list>: typing in [data-filter-input] hides [data-filter-text] rows that do not match; Enter opens the first.
// Rows marked [data-filter-found] came from the server for what was typed: they stay, and count for keys and Enter.
class FilterList extends HTMLElement {
  connectedCallback() {
    const input = this.querySelector("[data-filter-input]");
    if (!input) return;
    input.addEventListener("input", () => this.filter(input.value));
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        this.rows.find((row) => !row.hidden)?.click();
      } else if (event.key === "ArrowDown") {
        event.preventDefault();
        this.rows.find((row) => !row.hidden)?.focus();
      }
    });
    this.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      const rows = this.rows.filter((row) => !row.hidden);
      const at = rows.indexOf(document.activeElement);
      if (!step || at < 0) return;
      event.preventDefault();
      (rows[at + step] || (step < 0 ? input : rows[at])).focus();
    });
  }

  get rows() {
    return [...this.querySelectorAll("[data-filter-text], [data-filter-found]")];
  }

  filter(typed) {
    const words = typed.trim().toLowerCase().split(/\s+/);
    for (const row of this.querySelectorAll("[data-filter-text]")) {
      const text = row.dataset.filterText.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
    for (const group of this.querySelectorAll("[data-filter-group]")) {
      group.hidden = !group.querySelector("[data-filter-text]:not([hidden]), [data-filter-found]");
    }
    const none = this.querySelector("[data-filter-none]");
    if (none) none.hidden = !this.rows.length || this.rows.some((row) => !row.hidden);
  }
}

customElements.define("filter-list", FilterList);
