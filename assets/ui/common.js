// Shared by the page's own components. Text always goes in as text, never as markup.
const el = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(node.style, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
};
const fixed = (number) => (number === null || number === undefined ? "–" : number.toFixed(3));
const movement = (places) => (places === 0 ? "same" : `${places > 0 ? "▲" : "▼"} ${Math.abs(places)}`);
const moved = (places) =>
  places === 0 ? "same place" : `moved ${places > 0 ? "up" : "down"} ${Math.abs(places)}`;
const ordinal = (n) => {
  const tail = n % 100 > 10 && n % 100 < 14 ? "th" : ["th", "st", "nd", "rd"][n % 10] || "th";
  return `${n}${tail}`;
};
