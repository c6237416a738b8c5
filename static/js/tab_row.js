// A row of tabs that is wider than the screen begins with the open one in sight.
function showOpenTab(part) {
  for (const tab of part.querySelectorAll(".tabs > :is([aria-current], [aria-selected=true])")) {
    const row = tab.parentElement;
    const [inner, outer] = [tab.getBoundingClientRect(), row.getBoundingClientRect()];
    if (row.scrollWidth > row.clientWidth) row.scrollLeft += inner.left + inner.width / 2 - outer.left - outer.width / 2;
  }
}

showOpenTab(document);
document.addEventListener("htmx:load", (event) => showOpenTab(event.target));
