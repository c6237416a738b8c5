// <page-retry seconds>: on the page for a server that cannot answer now, asks quietly for the same address until it can
// be answered, then opens it. The link [data-retry] asks for the address with its query, at once.
const AWAY = [502, 503, 504];

class PageRetry extends HTMLElement {
  connectedCallback() {
    this.wait = Math.max(Number(this.getAttribute("seconds")) || 5, 2) * 1000;
    document.querySelector("[data-retry]")?.setAttribute("href", this.address);
    this.firstElementChild.textContent = "This page opens by itself as soon as the database answers.";
    this.plan();
  }

  disconnectedCallback() {
    clearTimeout(this.timer);
  }

  get address() {
    return location.pathname + location.search;
  }

  plan() {
    this.timer = setTimeout(() => (document.hidden ? this.plan() : this.ask()), this.wait);
  }

  async ask() {
    try {
      const { status } = await fetch(this.address, { cache: "no-store", redirect: "manual" });
      if (!AWAY.includes(status)) return location.replace(this.address);
    } catch {
      // not reachable at all: asked again
    }
    return this.plan();
  }
}

customElements.define("page-retry", PageRetry);
