// Two rankings joined by ribbons: where each photo of one list stands in the other. Drawn as one picture beside the rows,
// which it shares their height with; what it shows is said in words in the cells.
const svg = (tag, attributes) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
};

// before, after: rows of the gallery in their order. count: rows that are seen. look: row → class of its ribbon.
const ribbons = (before, after, count, look) => {
  const height = 100 * count, middle = (place) => 100 * place + 50;
  const drawn = svg("svg", { viewBox: `0 0 100 ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const ribbon = (row, from, to, name) => drawn.append(svg("path", {
    class: `ribbon ${name} ${look(row)}`, "data-row": row, d: `M0 ${from} C50 ${from} 50 ${to} 100 ${to}`,
  }));
  before.slice(0, count).forEach((row, from) => {
    const to = after.indexOf(row);
    if (to < 0 || to >= count) ribbon(row, middle(from), height + 60, "leaves");
  });
  after.slice(0, count).forEach((row, to) => {
    const from = before.indexOf(row);
    if (from < 0 || from >= count) ribbon(row, height + 60, middle(to), "enters");
    else ribbon(row, middle(from), middle(to), "stays");
  });
  return drawn;
};
