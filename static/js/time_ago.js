// <time-ago format="relative|clock|day|datetime"><time datetime>: shown in the reader's zone, relative texts kept fresh.
// Same rules as core.formats.relative_time. <html data-time-zone> is the zone the reader has chosen in their profile.
const timeZone = document.documentElement.dataset.timeZone || undefined;
const exact = new Intl.DateTimeFormat("en-CA", {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
  hourCycle: "h23", timeZoneName: "short", timeZone,
});
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone });
const dayOfYear = new Intl.DateTimeFormat("en-US", { month: "short", day: "numeric", timeZone });
const day = new Intl.DateTimeFormat("en-US", { month: "short", day: "numeric", year: "numeric", timeZone });

const date = (moment) => (moment.getFullYear() === new Date().getFullYear() ? dayOfYear : day).format(moment);

function relative(moment) {
  const seconds = Math.trunc((Date.now() - moment) / 1000);
  const size = Math.abs(seconds);
  if (size >= 86400) return date(moment);
  if (size < 5) return "just now";
  const amount = size < 60 ? `${size} s` : size < 3600 ? `${Math.floor(size / 60)} min` : `${Math.floor(size / 3600)} h`;
  return seconds > 0 ? `${amount} ago` : `in ${amount}`;
}

const live = new Set();

class TimeAgo extends HTMLElement {
  connectedCallback() {
    this.time = this.querySelector("time");
    this.moment = this.time && new Date(this.time.dateTime);
    if (!this.moment || Number.isNaN(this.moment.getTime())) return;
    this.time.title = exact.format(this.moment).replace(",", "");
    if (this.getAttribute("format") === "relative") live.add(this);
    this.write();
  }

  disconnectedCallback() {
    live.delete(this);
  }

  write() {
    const format = this.getAttribute("format");
    const text = format === "clock" ? clock.format(this.moment)
      : format === "day" ? `${date(this.moment)} ${clock.format(this.moment)}`
      : format === "datetime" ? this.time.title : relative(this.moment);
    if (this.time.textContent !== text) this.time.textContent = text;
  }
}

customElements.define("time-ago", TimeAgo);
setInterval(() => { if (!document.hidden) live.forEach((element) => element.write()); }, 5000);
