// The faces of the inspector with their patches. One chosen patch drives every panel that is on the page.
const LEAST_SHARE = 0.03; // partners of a patch below this share are not outlined
let patch = null; // {side: "query" | "candidate", x, y: its middle, 0 to 1, fixed: chosen, not only pointed at}
const NARROW = matchMedia("(max-width: 640px)"); // a phone
let layer = 0, head = 0; // what is chosen of a matrix

const share = (x) => `${(100 * x).toFixed(1)} %`;
const signedText = (x) => `${fixed(x).startsWith("-") ? "−" : "+"}${fixed(Math.abs(x))}`;
const capital = (text) => text[0].toUpperCase() + text.slice(1);
const where = (grid, index) => `row ${Math.floor(index / grid[1]) + 1}, column ${(index % grid[1]) + 1}`;
const patchName = (value, panel) => `${capital(value[patch.side].called)} patch ${where(panel.grid, indexIn(panel.grid))}`;
// The chosen patch on a grid: the cell that holds its middle.
const indexIn = ([rows, columns]) => Math.floor(patch.y * rows) * columns + Math.floor(patch.x * columns);

// The choices of a matrix as they stand; those that another answer does not have fall back to the first.
const chosenLayer = (found) => found.layers[layer] ?? found.layers[0];
const chosenHead = (found) => chosenLayer(found).heads[head] ?? chosenLayer(found).heads[0];

const listed = (grid, partners, word, count) => partners.slice(0, count).map(([at, part]) => `${share(part)} ${word} ${where(grid, at)}`).join("; ");

// Mass that flows: what the chosen patch exchanges with the other face, as [other patch, share], strongest first.
const massOf = (found) => ({
  partners: (index) => {
    const [from, to] = patch.side === "query" ? [0, 1] : [1, 0];
    const total = Math.max(found.values[patch.side][index], 1e-12);
    return found.flow.filter((f) => f[from] === index).map((f) => [f[to], f[2] / total]).sort((a, b) => b[1] - a[1]);
  },
  tell: (index, partners, count) => {
    const more = partners.length > count ? "; and more" : "";
    return `carries ${share(found.values[patch.side][index])} of the weight` + (partners.length
      ? `: ${listed(found.grid, partners, patch.side === "query" ? "to" : "from", count)}${more}.` : ", so nothing flows here.");
  },
});

const crops = (value) => ({ query: value.query.crop, candidate: value.candidate.crop });
// Every kind of explanation that lies on the faces: what it shows of a face, the shares of its patches, their partners,
// and what is said of one.
const KINDS = {
  flow: (value, found) => ({
    pictures: crops(value), values: found.values, ...massOf(found), alt: (who) => `Aligned face: ${who}`,
  }),
  lines: (value, found) => ({
    pictures: crops(value), values: found.values, ...massOf(found), alt: (who) => `Aligned face: ${who}`,
  }),
  maps: (value, found) => ({
    pictures: found.pictures, values: found.values, bar: found.bar,
    alt: (who) => `${capital(found.called)} over the face of ${who}`,
    ...(found.exchange ? massOf(value.explanations[found.exchange]) : {
      partners: () => [],
      tell: (index) => `holds ${share(found.values[patch.side][index])} of the ${found.called}.`,
    }),
  }),
  signed: (value, found) => ({
    pictures: found.pictures, values: found.values, bar: found.bar, partners: () => [],
    text: (side, part) => (side === "query" ? signedText(part) : ""),
    alt: (who) => (who === value.name ? `Aligned face: ${who}` : `${found.title}, over the face of ${who}: blue speaks for, orange against`),
    tell: (index) => {
      const part = found.values.query[index];
      if (patch.side !== "query") return null;
      const than = found.stranger ? "than a stranger's would" : "than no face would";
      return `brings the distance ${fixed(Math.abs(part))} ${part < 0 ? "less" : "further"} down ${than}.`;
    },
  }),
  matrix: (value, found) => {
    const chosen = chosenHead(found);
    return {
      pictures: chosen.pictures, values: chosen.values, bar: chosen.bar,
      alt: (who) => `${capital(found.called)} over the face of ${who}`,
      partners: (index) => chosen[patch.side === "query" ? "forward" : "backward"][index].map((x, at) => [at, x / found.unit])
        .sort((a, b) => b[1] - a[1]),
      tell: (index, partners, count) => {
        const by = found.by || `with ${chosen.name.startsWith("mean") ? "the " : ""}${chosen.name}`;
        return `looks, ${by}, ${listed(found.grid, partners, "at", count)}. It receives ${share(chosen.values[patch.side][index])} of the other face's attention.`;
      },
    };
  },
};
// What an explanation shows on the faces; nothing for a kind that lies on none.
const panelOf = (value, word) => {
  const found = shownOf(value, word);
  return found.kind in KINDS ? { grid: found.grid, kind: found.kind, ...KINDS[found.kind](value, found) } : null;
};

// One face of a panel.
const face = (value, panel, side) => {
  const { grid } = panel, [rows, columns] = grid;
  const who = side === "query" ? value.query.called : value.name;
  const focused = patch?.side === side ? indexIn(grid) : 0;
  const cells = panel.values[side].map((part, index) =>
    el("button", {
      type: "button", class: "patch", tabindex: index === focused ? 0 : -1, "data-side": side, "data-index": index,
      "aria-label": [`Patch ${where(grid, index)} of the ${value[side].called}`, panel.text ? panel.text(side, part) : share(part)].filter(Boolean).join(", "),
      onclick: (event) => {
        if (event.detail && enlarged(event.currentTarget)) return; // a key needs no large one
        if (patch?.fixed && patch.side === side && indexIn(grid) === index) release();
        else point(value, grid, side, index, true);
      },
      onmouseenter: (event) => { if (!patch?.fixed && !tooSmall(event.currentTarget)) point(value, grid, side, index, false); },
    }));
  const patches = el("div", {
    class: "patches", role: "group", "aria-label": `Patches of ${who}; arrow keys move, Enter chooses`,
    style: { gridTemplate: `repeat(${rows}, 1fr) / repeat(${columns}, 1fr)` },
    onkeydown: (event) => move(event, value, grid, side),
  }, cells);
  patches.panel = panel;
  return el("figure", { class: "face" }, el("div", { class: "frame" }, el("img", { src: panel.pictures[side], alt: panel.alt(who) }), patches),
    el("figcaption", {}, value[side].title));
};

// On a phone the faces stand side by side; one whose patches are too small for a finger is enlarged before one is chosen.
const FINGER = 32; // pixels
const tooSmall = (button) => NARROW.matches && button.offsetWidth < FINGER && !button.closest(".stage");
const enlarged = (button) => {
  if (!tooSmall(button)) return false;
  const chosen = button.closest(".face");
  for (const one of chosen.parentElement.children) one.classList.toggle("near", one === chosen);
  return true;
};

// Cells that cannot be chosen, over a picture of the query's patches: they show what is chosen elsewhere.
const shadows = (panel) => {
  const [rows, columns] = panel.grid;
  const cells = el("div", { class: "patches", "aria-hidden": "true", style: { gridTemplate: `repeat(${rows}, 1fr) / repeat(${columns}, 1fr)` } },
    panel.values.query.map(() => el("span", { class: "cell", "data-at": "query" })));
  cells.panel = panel;
  return cells;
};

const move = (event, value, grid, side) => {
  if (event.key === "Escape") release();
  const next = stepped(event.key, Number(event.target.dataset.index), grid);
  if (next === undefined) return;
  event.preventDefault();
  point(value, grid, side, next, true);
  event.currentTarget.children[next].focus();
};

const point = (value, [rows, columns], side, index, fixed) => {
  patch = { side, fixed, x: ((index % columns) + 0.5) / columns, y: (Math.floor(index / columns) + 0.5) / rows };
  paint(value);
};

// No patch is chosen any more.
const NOTHING = NARROW.matches ? "Tap a face to enlarge it, and a patch to see what it exchanges with the other face."
  : matchMedia("(pointer: coarse)").matches ? "Tap a patch to see what it exchanges with the other face."
  : "Point at a patch, or choose one with the arrow keys, to see what it exchanges with the other face.";
const release = () => {
  patch = null;
  for (const button of element.querySelectorAll(".patch, .cell")) {
    button.classList.remove("chosen", "partner");
    button.style.removeProperty("--share");
  }
  for (const told of element.querySelectorAll(".told")) told.textContent = NOTHING;
  drawLines(props.value);
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
    const chosen = indexIn(panel.grid);
    const partners = panel.partners(chosen);
    const others = new Map(partners);
    const most = Math.max(...others.values(), 1e-9);
    [...group.children].forEach((button, at) => {
      const here = (button.dataset.at ?? button.dataset.side) === patch.side;
      const mass = here ? 0 : others.get(at) || 0;
      button.classList.toggle("chosen", here && at === chosen);
      button.classList.toggle("partner", mass >= LEAST_SHARE);
      button.style.setProperty("--share", mass / most);
      if (here) button.tabIndex = at === chosen ? 0 : -1;
    });
    const said = panel.tell(chosen, partners, count);
    if (said && !told.includes(said)) told.push(said);
    name ??= patchName(value, panel);
  }
  drawLines(value);
  const readout = element.querySelector(".told");
  readout.setAttribute("aria-live", patch.fixed ? "polite" : "off"); // what the mouse passes over is not read out
  if (!told.length) told.push(`has no contribution of its own: those of the ${value.query.called} are measured.`);
  readout.textContent = `${name} ${told.map((said, at) => (at ? `It ${said}` : said)).join(" ")}`;
};
