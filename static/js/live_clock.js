// <live-clock data-elapsed="11840">: a running duration. Counts from what the server measured, so clocks need not agree.
const decimal = document.documentElement.dataset.decimal || ".";

export function duration(ms) {
  if (Math.round(ms) < 1000) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 10) / 100;
  if (seconds < 60) return `${seconds.toFixed(2).replace(".", decimal)} s`;
  const whole = Math.round(ms / 1000);
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${whole % 60}s`;
  const minutes = Math.round(ms / 60000);
  return `${Math.floor(minutes / 60)}h ${String(minutes % 60).padStart(2, "0")}m`;
}

class LiveClock extends HTMLElement {
  connectedCallback() {
    const start = performance.now() - Number(this.dataset.elapsed || 0);
    const slow = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.timer = setInterval(() => {
      if (!document.hidden) this.textContent = duration(performance.now() - start);
    }, slow ? 1000 : 200);
  }

  disconnectedCallback() {
    clearInterval(this.timer);
  }
}

customElements.define("live-clock", LiveClock);
