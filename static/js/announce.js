// Says a short text to screen readers through the page's one polite region.
let timer;

export function announce(text) {
  const region = document.getElementById("announcer");
  if (!region) return;
  region.textContent = "";
  clearTimeout(timer);
  timer = setTimeout(() => { region.textContent = text; }, 50);
}
