// What <drag-zoom> chooses from and where it goes: the borders between bins, the address of a range, and the way there.

// The borders in milliseconds: as given, else equal parts between start and end (without columns, minutes).
export function edgesOf(data, columns) {
  const given = (data.edges || "").split(" ").filter(Boolean).map((text) => Date.parse(text));
  if (given.length) return given;
  const start = Date.parse(data.start);
  const end = Date.parse(data.end);
  if (!(end > start)) return [];
  const parts = columns || Math.min(Math.round((end - start) / 60_000), 2000);
  return Array.from({ length: parts + 1 }, (_, i) => start + ((end - start) * i) / parts);
}

// Milliseconds to 2026-11-20T14:00Z; the second is kept when there is one.
export function stamp(at) {
  const text = new Date(at).toISOString();
  return text.endsWith(":00.000Z") ? `${text.slice(0, 16)}Z` : `${text.slice(0, 19)}Z`;
}

export function addressOf(data, start, end) {
  const range = `${stamp(start)}..${stamp(end)}`;
  if (data.url) return data.url.replace("{range}", encodeURIComponent(range));
  const url = new URL(location.href);
  for (const name of (data.drop ?? "start end cursor").split(" ")) url.searchParams.delete(name);
  url.searchParams.set("range", range);
  return url.pathname + url.search;
}

// A link inside `host`, so that htmx does what it does for the range picker: request, swap, push, errors.
export function visit(host, href) {
  const { target, swap = "outerHTML" } = host.dataset;
  if (!target || !window.htmx) {
    location.assign(href);
    return;
  }
  const link = Object.assign(document.createElement("a"), { href, hidden: true });
  const attributes = { "hx-get": href, "hx-target": target, "hx-swap": swap, "hx-push-url": "true" };
  for (const [name, value] of Object.entries(attributes)) link.setAttribute(name, value);
  host.link?.remove();
  host.link = link;
  host.append(link);
  window.htmx.process(link);
  link.click();
}
