// <pane-find>: search inside the step beside it. Matches are highlighted (CSS custom highlights, no markup changes), folded
// parts with a match open, Enter and Shift+Enter walk. Where highlights are unknown, matches are still counted and opened.
const MAX = 2000;

class PaneFind extends HTMLElement {
  connectedCallback() {
    if (this.stop) return;
    this.stop = new AbortController();
    this.input = this.querySelector("input");
    this.told = this.querySelector("[role=status]");
    const signal = this.stop.signal;
    this.input.addEventListener("input", () => { clearTimeout(this.timer); this.timer = setTimeout(() => this.find(), 150); }, { signal });
    this.input.addEventListener("keydown", (e) => {
      if (e.key === "Enter") { e.preventDefault(); this.go(e.shiftKey ? -1 : 1); }
    }, { signal });
  }

  disconnectedCallback() {
    this.stop?.abort();
    this.stop = null;
    clearTimeout(this.timer);
    CSS.highlights?.delete("pane-find");
    CSS.highlights?.delete("pane-find-here");
  }

  find() {
    const wanted = this.input.value.trim().toLowerCase();
    this.ranges = wanted ? this.matches(wanted) : [];
    this.at = -1;
    CSS.highlights?.delete("pane-find-here");
    if (CSS.highlights) CSS.highlights.set("pane-find", new Highlight(...this.ranges));
    this.told.textContent = wanted ? `${this.ranges.length}${this.ranges.length === MAX ? "+" : ""} found` : "";
  }

  matches(wanted) {
    const found = [];
    const walker = document.createTreeWalker(this.parentElement, NodeFilter.SHOW_TEXT);
    while (walker.nextNode() && found.length < MAX) {
      const node = walker.currentNode;
      if (this.contains(node)) continue;
      const text = node.data.toLowerCase();
      for (let at = text.indexOf(wanted); at >= 0 && found.length < MAX; at = text.indexOf(wanted, at + wanted.length)) {
        const range = new Range();
        range.setStart(node, Math.min(at, node.length));
        range.setEnd(node, Math.min(at + wanted.length, node.length));
        found.push(range);
      }
    }
    return found;
  }

  go(by) {
    if (!this.ranges?.length) return;
    this.at = (this.at + by + this.ranges.length) % this.ranges.length;
    const range = this.ranges[this.at];
    for (let box = range.startContainer.parentElement; box && box !== this.parentElement; box = box.parentElement) {
      if (box.localName === "details") box.open = true;
    }
    if (CSS.highlights) CSS.highlights.set("pane-find-here", new Highlight(range));
    range.startContainer.parentElement.scrollIntoView({ block: "nearest" });
    this.told.textContent = `${this.at + 1} of ${this.ranges.length}`;
  }
}

customElements.define("pane-find", PaneFind);
