// The number before a page's title: what several parts of the page have for the reader, added up.
const counts = new Map();

function write() {
  const title = document.title.replace(/^\(\d+\+?\) /, "");
  const total = [...counts.values()].reduce((sum, number) => sum + number, 0);
  const wanted = total ? `(${total > 99 ? "99+" : total}) ${title}` : title;
  if (document.title !== wanted) document.title = wanted;
}

export function countInTitle(name, number) {
  counts.set(name, number);
  write();
}

// An answer to htmx may bring a title of its own.
document.addEventListener("htmx:afterSettle", write);
