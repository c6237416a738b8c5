// An icon of the sprite, for what is drawn in the browser. The toast region knows the sprite's address.
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "ico");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${document.getElementById("toasts").dataset.icons}#${name}`);
  svg.append(use);
  return svg;
}
