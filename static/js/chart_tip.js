// <chart-tip>: the tooltip of a bar chart. Pointer and arrow keys share one path; Enter follows the bar's link.
// Texts come ready from the server ({titles, totals, series: [[slot, label, texts]], hrefs}).
import { announce } from "./announce.js";

const span = (className, text = "") => Object.assign(document.createElement("span"), { className, textContent: text });

class ChartTip extends HTMLElement {
  connectedCallback() {
    const data = this.querySelector(":scope > script[type='application/json']");
    this.figure = this.querySelector("[data-chart]");
    if (!data || !this.figure || this.tip) return;
    this.data = JSON.parse(data.textContent);
    this.plot = this.figure.querySelector(".plot");
    this.at = -1;
    this.tip = Object.assign(document.createElement("div"), { className: "tip", hidden: true });
    this.tip.setAttribute("aria-hidden", "true");
    this.plot.append(this.tip);
    this.figure.addEventListener("pointermove", (e) => {
      const column = e.target.closest?.(".col");
      if (column) this.show(Number(column.dataset.i));
    });
    this.figure.addEventListener("pointerleave", () => this.hide());
    this.figure.addEventListener("blur", () => this.hide());
    this.figure.addEventListener("keydown", (e) => this.key(e));
  }

  get columns() {
    return this.figure.querySelectorAll(".col");
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = this.data.titles.length - 1;
    const to = {
      ArrowRight: Math.min(this.at + 1, last),
      ArrowLeft: this.at < 0 ? last : Math.max(this.at - 1, 0),
      Home: 0,
      End: last,
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      this.show(to, true);
    } else if (event.key === "Escape") {
      this.hide();
    } else if (event.key === "Enter" && this.data.hrefs[this.at]) {
      location.assign(this.data.hrefs[this.at]);
    }
  }

  hide() {
    this.columns[this.at]?.classList.remove("on");
    this.at = -1;
    this.tip.hidden = true;
  }

  show(index, speak = false) {
    const column = this.columns[index];
    if (!column || index === this.at) return;
    this.columns[this.at]?.classList.remove("on");
    this.at = index;
    column.classList.add("on");
    const title = this.data.titles[index];
    const total = this.data.totals[index];
    const head = document.createElement("b");
    head.append(span("", title), span("num", total));
    const list = document.createElement("ul");
    for (const [slot, label, texts] of this.data.series) {
      if (!texts[index]) continue;
      const row = document.createElement("li");
      row.append(span(`dot ${slot}`), span("", label), span("", texts[index]));
      list.append(row);
    }
    this.tip.replaceChildren(head, list);
    this.tip.hidden = false;
    this.place(column);
    if (speak) announce(`${title}: ${total}`);
  }

  place(column) {
    const bar = column.getBoundingClientRect();
    const frame = this.plot.getBoundingClientRect();
    const right = bar.right - frame.left + 8;
    const fits = right + this.tip.offsetWidth <= frame.width;
    this.tip.style.left = `${Math.max(0, fits ? right : bar.left - frame.left - this.tip.offsetWidth - 8)}px`;
    this.tip.style.top = "4px";
  }
}

customElements.define("chart-tip", ChartTip);
