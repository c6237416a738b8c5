// Browser notifications: shown by an open page that is not looked at, about alerts that came after it was opened.
const seen = new Set();
let isFirst = true;

export function showNews(news) {
  for (const { news: key, title, words, url } of news.reverse()) {
    if (seen.has(key)) continue;
    seen.add(key);
    if (!isFirst && document.hidden) show(key.split(" ", 1)[0], title, words, url);
  }
  isFirst = false;
}

function show(id, title, words, url) {
  if (!("Notification" in window) || Notification.permission !== "granted") return;
  try {
    // Several open pages show it once: a later one of the same tag takes the first one's place, silently.
    const shown = new Notification(title, { body: words, tag: `llmlab-alert-${id}` });
    shown.addEventListener("click", () => {
      window.focus();
      shown.close();
      if (url) location.assign(url);
    });
  } catch {
    // Phones allow them to service workers only.
  }
}
