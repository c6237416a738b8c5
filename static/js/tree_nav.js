// <tree-nav> around one role=tree of role=treeitem rows with aria-level: arrows, j/k, Home, End, Enter, left/right to fold.
// Rows stay flat siblings; folding hides the deeper rows that follow, and what else carries a data-level among them.
// A row with data-lazy fetches what is below it when it is first opened. Buttons: [data-tree-fold] folds or unfolds all.
import { foldAll, hideFolded, levelOf, openAbove } from "./tree_levels.js";

class TreeNav extends HTMLElement {
  connectedCallback() {
    if (this.watcher) return;
    this.addEventListener("keydown", (e) => this.key(e));
    this.addEventListener("click", (e) => this.click(e));
    this.addEventListener("focusin", (e) => {
      const row = e.target.closest?.("[role=treeitem]");
      if (row) this.rove(row);
    });
    this.watcher = new MutationObserver(() => this.tidy());
    this.watcher.observe(this, { childList: true, subtree: true });
    this.tidy();
  }

  disconnectedCallback() {
    this.watcher?.disconnect();
    this.watcher = null;
  }

  get rows() {
    return [...this.querySelectorAll("[role=treeitem]")];
  }

  get visible() {
    return this.rows.filter((row) => !row.hidden);
  }

  // Exactly one row is in the tab order; rows that arrive under a folded one start hidden.
  tidy() {
    const rows = this.rows;
    if (!rows.length) return;
    hideFolded(this);
    const active = rows.filter((row) => row.tabIndex === 0);
    if (active.length !== 1 || active[0].hidden) {
      this.rove(rows.find((row) => row.getAttribute("aria-selected") === "true" && !row.hidden) || this.visible[0]);
    }
  }

  rove(row) {
    for (const other of this.rows) other.tabIndex = other === row ? 0 : -1;
  }

  fold(row, folded) {
    if (!row.hasAttribute("aria-expanded")) return false;
    if ((row.getAttribute("aria-expanded") === "false") === folded) return false;
    if (!folded && row.dataset.lazy) {
      this.load(row);
      return true;
    }
    row.setAttribute("aria-expanded", String(!folded));
    this.tidy();
    return true;
  }

  async load(row) {
    const url = row.dataset.lazy;
    if (row.getAttribute("aria-busy")) return;
    row.setAttribute("aria-busy", "true");
    await window.htmx.ajax("GET", url, { target: row, swap: "afterend" });
    row.removeAttribute("aria-busy");
    if (levelOf(row.nextElementSibling || row) <= levelOf(row)) return; // refused or offline: closed, can be tried again
    delete row.dataset.lazy;
    row.querySelector("[data-below]")?.remove();
    row.setAttribute("aria-expanded", "true");
    this.tidy();
  }

  // Open everything above a row that is there but folded away.
  reveal(row) {
    openAbove(this.rows, row);
    this.tidy();
  }

  go(row) {
    if (!row) return;
    this.rove(row);
    row.focus();
    row.scrollIntoView({ block: "nearest" });
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    const row = event.target.closest("[role=treeitem]");
    if (!row) return;
    const rows = this.visible;
    const index = rows.indexOf(row);
    const parent = () => rows.slice(0, index).reverse().find((other) => levelOf(other) < levelOf(row));
    const child = () => (rows[index + 1] && levelOf(rows[index + 1]) > levelOf(row) ? rows[index + 1] : null);
    const moves = {
      ArrowDown: () => this.go(rows[index + 1]),
      ArrowUp: () => this.go(rows[index - 1]),
      j: () => this.go(rows[index + 1]),
      k: () => this.go(rows[index - 1]),
      Home: () => this.go(rows[0]),
      End: () => this.go(rows[rows.length - 1]),
      ArrowRight: () => this.fold(row, false) || this.go(child()),
      ArrowLeft: () => this.fold(row, true) || this.go(parent()),
      Enter: () => this.open(row),
      " ": () => this.open(row),
    };
    if (!moves[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    moves[event.key]();
  }

  open(row) {
    (row.querySelector("[data-open]") || row).click();
  }

  click(event) {
    const all = event.target.closest("[data-tree-fold]");
    if (all) {
      foldAll(this.rows);
      this.tidy();
      return;
    }
    const row = event.target.closest("[role=treeitem]");
    if (!row) return;
    if (event.target.closest("[data-twist]")) {
      event.stopPropagation();
      event.preventDefault();
      this.fold(row, row.getAttribute("aria-expanded") === "true");
      return;
    }
    for (const other of this.querySelectorAll("[aria-selected=true]")) other.setAttribute("aria-selected", "false");
    row.setAttribute("aria-selected", "true");
    this.rove(row);
  }
}

customElements.define("tree-nav", TreeNav);
