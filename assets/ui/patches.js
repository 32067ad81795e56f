// The faces of the inspector with their patches. One chosen patch drives every panel that is on the page.
const LEAST_SHARE = 0.03; // partners of a patch below this share are not outlined
let patch = null; // {side: "query" | "candidate", x, y: its middle, 0 to 1, fixed: chosen, not only pointed at}
let way = 0, layer = 0, head = 0; // what is chosen of the attention

const share = (x) => `${(100 * x).toFixed(1)} %`;
const capital = (text) => text[0].toUpperCase() + text.slice(1);
const where = (grid, index) => `row ${Math.floor(index / grid[1]) + 1}, column ${(index % grid[1]) + 1}`;
const patchName = (value, panel) => `${capital(value[patch.side].called)} patch ${where(panel.grid(value), indexIn(panel.grid(value)))}`;
// The chosen patch on a grid: the cell that holds its middle.
const indexIn = ([rows, columns]) => Math.floor(patch.y * rows) * columns + Math.floor(patch.x * columns);

// The choices of the attention as they stand; those that another answer does not have fall back to the first.
const chosenWay = (value) => value.attention.ways[way] ?? value.attention.ways[0];
const chosenHead = (value) => {
  const layers = chosenWay(value).layers;
  const heads = (layers[layer] ?? layers[0]).heads;
  return heads[head] ?? heads[0];
};

// What the chosen patch exchanges with the other face: [other patch, share], strongest first.
const flowPartners = (value, index) => {
  const [from, to] = patch.side === "query" ? [0, 1] : [1, 0];
  const total = Math.max((patch.side === "query" ? value.u : value.v)[index], 1e-12);
  return value.flow.filter((f) => f[from] === index).map((f) => [f[to], f[2] / total]).sort((a, b) => b[1] - a[1]);
};
const attentionPartners = (value, index) => {
  const rows = chosenHead(value)[patch.side === "query" ? "forward" : "backward"];
  return rows === null ? [] : rows[index].map((x, at) => [at, x / value.attention.unit]).sort((a, b) => b[1] - a[1]);
};
const listed = (grid, found, word, count) => found.slice(0, count).map(([at, part]) => `${share(part)} ${word} ${where(grid, at)}`).join("; ");

const tellMass = (value, index, found, values, count) => {
  const more = found.length > count ? "; and more" : "";
  return `carries ${share(values[index])} of the weight` + (found.length
    ? `: ${listed(value.grid, found, patch.side === "query" ? "to" : "from", count)}${more}.` : ", so nothing flows here.");
};
const tellAttention = (value, index, found, values, count) => {
  const { word, measure } = chosenWay(value);
  if (!found.length) return `holds ${share(values[index])} of the ${measure}.`;
  const { name } = chosenHead(value);
  const by = word === "rollout" ? "by rollout" : `with ${name.startsWith("mean") ? "the " : ""}${name}`;
  return `looks, ${by}, ${listed(value.attention.grid, found, "at", count)}. It receives ${share(values[index])} of the other face's attention.`;
};
const weightsOf = (value, side) => (side === "query" ? value.u : value.v);

// Every panel: what it shows of a face, the shares of its patches, their partners, and what is said of one.
const PANELS = {
  flow: {
    title: "Flow", note: "EMD: where the mass of each patch goes; bright patches carry most.", grid: (value) => value.grid,
    picture: (value, side) => value[side].crop, values: weightsOf, partners: flowPartners, tell: tellMass,
    alt: (value, who) => `Aligned face: ${who}`,
  },
  weights: {
    title: "Weights", note: "EMD: how much each patch counts.", grid: (value) => value.grid,
    picture: (value, side) => value[side].weights, values: weightsOf, partners: flowPartners, tell: tellMass,
    alt: (value, who) => `Weights over the face of ${who}`, bar: (value) => value.weightsBar,
  },
  attention: {
    title: "Attention", note: "H2L: how much each patch is looked at.", grid: (value) => value.attention.grid,
    picture: (value, side) => chosenHead(value).map[side], values: (value, side) => chosenHead(value).map.values[side],
    partners: attentionPartners, tell: tellAttention,
    alt: (value, who) => `${capital(chosenWay(value).measure)} over the face of ${who}`, bar: (value) => chosenHead(value).map.bar,
  },
};
// One more panel per correlation map.
const correlationPanel = (map) => ({
  title: map.title, note: "Likeness of each patch to the other face.", grid: () => map.grid,
  picture: (value, side) => map[side], values: (value, side) => map.values[side], partners: () => [],
  tell: (value, index, found, values) => `holds ${share(values[index])} of the ${map.title}.`,
  alt: (value, who) => `${map.title} over the face of ${who}`, bar: () => map.bar,
});

// One face of a panel. picture: shown in place of the panel's own, with its text.
const face = (value, panel, side, picture = null) => {
  const grid = panel.grid(value), [rows, columns] = grid;
  const who = side === "query" ? value.query.called : value.name;
  const focused = patch?.side === side ? indexIn(grid) : 0;
  const cells = panel.values(value, side).map((part, index) =>
    el("button", {
      type: "button", class: "patch", tabindex: index === focused ? 0 : -1, "data-side": side, "data-index": index,
      "aria-label": `Patch ${where(grid, index)} of the ${value[side].called}, ${share(part)}`,
      onclick: () => point(value, grid, side, index, true),
      onmouseenter: () => { if (!patch?.fixed) point(value, grid, side, index, false); },
    }));
  const patches = el("div", {
    class: "patches", role: "group", "aria-label": `Patches of ${who}; arrow keys move, Enter chooses`,
    style: { gridTemplate: `repeat(${rows}, 1fr) / repeat(${columns}, 1fr)` },
    onkeydown: (event) => move(event, value, grid, side),
  }, cells);
  patches.panel = panel;
  const [src, alt] = picture ?? [panel.picture(value, side), panel.alt(value, who)];
  return el("figure", { class: "face" }, el("div", { class: "frame" }, el("img", { src, alt }), patches),
    el("figcaption", {}, value[side].title));
};

const move = (event, value, grid, side) => {
  const [rows, columns] = grid;
  const index = Number(event.target.dataset.index);
  const row = Math.floor(index / columns), column = index % columns;
  const to = {
    ArrowRight: [row, Math.min(column + 1, columns - 1)], ArrowLeft: [row, Math.max(column - 1, 0)],
    ArrowDown: [Math.min(row + 1, rows - 1), column], ArrowUp: [Math.max(row - 1, 0), column],
  }[event.key];
  if (!to) return;
  event.preventDefault();
  const next = to[0] * columns + to[1];
  point(value, grid, side, next, true);
  event.currentTarget.children[next].focus();
};

const point = (value, [rows, columns], side, index, fixed) => {
  patch = { side, fixed, x: ((index % columns) + 0.5) / columns, y: (Math.floor(index / columns) + 0.5) / rows };
  paint(value);
};

// Outline the chosen patch in every panel, shade the patches it exchanges mass or attention with, and say so.
const paint = (value) => {
  if (!patch) return;
  const told = [];
  const groups = element.querySelectorAll(".patches");
  const count = groups.length > 4 ? 2 : 4; // partners to name: fewer where more is said
  let name = null;
  for (const group of groups) {
    const { panel } = group;
    const chosen = indexIn(panel.grid(value));
    const found = panel.partners(value, chosen);
    const others = new Map(found);
    const most = Math.max(...others.values(), 1e-9);
    [...group.children].forEach((button, at) => {
      const here = button.dataset.side === patch.side;
      const mass = here ? 0 : others.get(at) || 0;
      button.classList.toggle("chosen", here && at === chosen);
      button.classList.toggle("partner", mass >= LEAST_SHARE);
      button.style.setProperty("--share", mass / most);
      if (here) button.tabIndex = at === chosen ? 0 : -1;
    });
    const said = panel.tell(value, chosen, found, panel.values(value, patch.side), count);
    if (!told.includes(said)) told.push(said);
    name ??= patchName(value, panel);
  }
  element.querySelector(".told").textContent = `${name} ${told.map((said, at) => (at ? `It ${said}` : said)).join(" ")}`;
};
