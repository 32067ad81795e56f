// One candidate beside the query: flow, lines, weights, numbers; all views share the chosen patch.
const VIEWS = [["flow", "Flow"], ["lines", "Lines"], ["weights", "Weights"], ["numbers", "Numbers"]];
let view = "flow";
let dimmed = true;
let patch = null; // {side: "query" | "candidate", index}

const share = (x) => `${(100 * x).toFixed(1)} %`;
const where = (value, index) => `row ${Math.floor(index / value.grid[1]) + 1}, column ${(index % value.grid[1]) + 1}`;

// Flow out of (or into) the chosen patch: other side's index → mass.
const partners = (value) => {
  if (!patch) return [];
  const [from, to] = patch.side === "query" ? [0, 1] : [1, 0];
  return value.flow.filter((f) => f[from] === patch.index).map((f) => [f[to], f[2]]).sort((a, b) => b[1] - a[1]);
};

const face = (value, side) => {
  const [rows, columns] = value.grid;
  const who = side === "query" ? "query" : value.name;
  const weights = side === "query" ? value.u : value.v;
  const source = view === "weights" ? value[side].heat : value[side].crop;
  const cells = weights.map((weight, index) =>
    el("button", {
      type: "button", class: "patch", tabindex: index === (patch?.side === side ? patch.index : 0) ? 0 : -1,
      "data-side": side, "data-index": index,
      "aria-label": `Patch ${where(value, index)} of the ${side === "query" ? "query" : "match"}, weight ${share(weight)}`,
      onclick: () => choose(value, side, index),
      onmouseenter: () => { if (!patch?.fixed) paint(value, side, index); },
    }));
  const grid = el("div", {
    class: "patches", role: "group", "aria-label": `Patches of ${who}; arrow keys move, Enter chooses`,
    style: { gridTemplate: `repeat(${rows}, 1fr) / repeat(${columns}, 1fr)` },
    onkeydown: (event) => move(event, value, side),
  }, cells);
  return el("figure", { class: "face" },
    el("div", { class: "frame" },
      el("img", { src: source, alt: view === "weights" ? `Weights over the face of ${who}` : `Aligned face: ${who}` }), grid),
    el("figcaption", {}, side === "query" ? "Query" : value.name));
};

const move = (event, value, side) => {
  const [rows, columns] = value.grid;
  const index = Number(event.target.dataset.index);
  const row = Math.floor(index / columns), column = index % columns;
  const to = {
    ArrowRight: [row, Math.min(column + 1, columns - 1)], ArrowLeft: [row, Math.max(column - 1, 0)],
    ArrowDown: [Math.min(row + 1, rows - 1), column], ArrowUp: [Math.max(row - 1, 0), column],
  }[event.key];
  if (!to) return;
  event.preventDefault();
  const next = to[0] * columns + to[1];
  choose(value, side, next);
  element.querySelector(`.patch[data-side="${side}"][data-index="${next}"]`).focus();
};

const choose = (value, side, index) => {
  patch = { side, index, fixed: true };
  paint(value, side, index);
};

// Outline the patch and shade the patches it exchanges mass with.
const paint = (value, side, index) => {
  patch = { side, index, fixed: patch?.fixed };
  const others = new Map(partners(value));
  const most = Math.max(...others.values(), 1e-9);
  for (const button of element.querySelectorAll(".patch")) {
    const here = button.dataset.side === side;
    const at = Number(button.dataset.index);
    const mass = here ? 0 : others.get(at) || 0;
    button.classList.toggle("chosen", here && at === index);
    button.classList.toggle("partner", mass > 0);
    button.style.setProperty("--share", mass / most);
    if (here) button.tabIndex = at === index ? 0 : -1;
  }
  const weight = (side === "query" ? value.u : value.v)[index];
  const list = partners(value).map(([at, mass]) => `${share(mass / Math.max(weight, 1e-12))} ${side === "query" ? "to" : "from"} ${where(value, at)}`);
  element.querySelector(".told").textContent =
    `${side === "query" ? "Query" : "Match"} patch ${where(value, index)} carries ${share(weight)} of the weight` +
    (list.length ? `: ${list.slice(0, 4).join("; ")}${list.length > 4 ? "; and more" : ""}.` : ", so nothing flows here.");
};

const numbers = (value) => {
  const formula = el("table", { class: "terms" }, el("tbody", {},
    value.terms.map(([name, number, note]) =>
      el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, number), el("td", { class: "note" }, note)))));
  if (value.patch === null) return formula;
  const live = el("output", { class: "live" });
  const say = (a) => {
    live.textContent = `α = ${a.toFixed(2)}: ${fixed(a)} × ${fixed(value.patch)} + ${fixed(1 - a)} × ${fixed(value.cosine)} = ${fixed(a * value.patch + (1 - a) * value.cosine)}`;
  };
  say(value.alpha);
  const slider = el("input", {
    type: "range", min: 0, max: 1, step: 0.01, value: value.alpha, "aria-label": "α, share of the patch distance",
    oninput: (event) => {
      const a = Number(event.target.value);
      say(a);
      document.dispatchEvent(new CustomEvent("board-alpha", { detail: { alpha: a, result: value.result } }));
    },
  });
  return el("div", {}, formula, el("label", { class: "alpha" }, "Try another α: the board re-orders as you move it", slider), live);
};

const body = (value) => {
  if (view === "numbers") return numbers(value);
  const told = el("p", { class: "told", role: "status", "aria-live": "polite" },
    "Point at a patch, or choose one with the arrow keys, to see where its mass goes.");
  if (view === "lines") {
    return el("div", {}, el("img", { class: "wide", src: value.lines, alt:
      `The ${value.lineCount} strongest flows drawn as lines from the query to ${value.name}` }),
      el("p", { class: "hint" }, `The ${value.lineCount} strongest flows carry ${share(value.lineShare)} of the mass.`));
  }
  const middle = view === "weights" ? null
    : el("figure", { class: "face" }, el("div", { class: "frame" }, el("img", { src: dimmed ? value.flowPicture : value.flowPictureBright, alt:
        `The query rebuilt: at each patch, the patch of ${value.name} that receives most of its mass; brighter means more mass` })),
      el("figcaption", {}, "Query rebuilt from the match"));
  return el("div", {},
    el("div", { class: `faces ${view}` }, face(value, "query"), middle, face(value, "candidate")),
    view === "flow" ? el("label", { class: "toggle" }, el("input", {
      type: "checkbox", checked: dimmed, onchange: (event) => { dimmed = event.target.checked; render(); },
    }), "Brightness shows mass") : null,
    view === "weights" ? el("img", { class: "bar", src: value.colourBar, alt: value.colourBarText }) : null, told,
    el("p", { class: "hint" }, view === "flow" ? value.flowHint : value.weightsHint));
};

const render = () => {
  const value = props.value;
  const target = element.querySelector(".inspector-root");
  if (!target) return;
  target.replaceChildren();
  if (!value) return;
  const views = value.patch === null ? [["numbers", "Numbers"]] : VIEWS;
  if (!views.some(([name]) => name === view)) view = views[0][0];
  const panel = el("div", { class: "panel", role: "tabpanel", id: "inspector-panel", "aria-labelledby": `view-${view}` }, body(value));
  const tabs = el("div", { class: "views", role: "tablist", "aria-label": "Views of this match",
    onkeydown: (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const at = views.findIndex(([name]) => name === view);
      view = views[(at + step + views.length) % views.length][0];
      render();
      element.querySelector(`#view-${view}`).focus();
    } },
    views.map(([name, title]) => el("button", {
      type: "button", role: "tab", id: `view-${name}`, "aria-selected": String(name === view),
      "aria-controls": "inspector-panel", tabindex: name === view ? 0 : -1,
      onclick: () => { view = name; render(); element.querySelector(`#view-${name}`).focus(); },
    }, title)));
  target.append(el("h3", {}, value.title), tabs, panel);
  if (patch && view !== "numbers" && view !== "lines") paint(value, patch.side, Math.min(patch.index, value.u.length - 1));
};
watch("value", render);
render();
