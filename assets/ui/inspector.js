// One candidate beside the query, explained by every method that is ready; all views share the chosen patch.
const VIEWS = { flow: "Flow", lines: "Lines", weights: "Weights", attention: "Attention", correlation: "Correlation", numbers: "Numbers" };
const LEAST_SHARE = 0.03; // partners of a patch below this share are not outlined
const GRIDDED = ["flow", "weights", "attention"];
let view = "flow";
let dimmed = true;
let head = 0;
let patch = null; // {side: "query" | "candidate", index}

const share = (x) => `${(100 * x).toFixed(1)} %`;
const where = (value, index) => {
  const columns = gridOf(value)[1];
  return `row ${Math.floor(index / columns) + 1}, column ${(index % columns) + 1}`;
};

const gridOf = (value) => (view === "attention" ? value.attention.grid : value.grid);
const weightsOf = (value, side) =>
  view === "attention" ? value.attention[side === "query" ? "receivedQuery" : "receivedCandidate"]
    : side === "query" ? value.u : value.v;

// What the chosen patch exchanges with the other face: [other patch, share], strongest first.
const partners = (value) => {
  if (!patch) return [];
  if (view === "attention") {
    const rows = value.attention.heads[head][patch.side === "query" ? "forward" : "backward"];
    return rows[patch.index].map((x, at) => [at, x / value.attention.unit]).sort((a, b) => b[1] - a[1]);
  }
  const [from, to] = patch.side === "query" ? [0, 1] : [1, 0];
  const total = Math.max(weightsOf(value, patch.side)[patch.index], 1e-12);
  return value.flow.filter((f) => f[from] === patch.index).map((f) => [f[to], f[2] / total]).sort((a, b) => b[1] - a[1]);
};

const face = (value, side) => {
  const [rows, columns] = gridOf(value);
  const who = side === "query" ? value.query.called : value.name;
  const weights = weightsOf(value, side);
  const source = view === "weights" ? value[side].weights : view === "attention" ? value.attention[side] : value[side].crop;
  const cells = weights.map((weight, index) =>
    el("button", {
      type: "button", class: "patch", tabindex: index === (patch?.side === side ? patch.index : 0) ? 0 : -1,
      "data-side": side, "data-index": index,
      "aria-label": `Patch ${where(value, index)} of the ${value[side].called}, ${share(weight)}`,
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
      el("img", { src: source, alt: view === "flow" ? `Aligned face: ${who}` : `${VIEWS[view]} over the face of ${who}` }), grid),
    el("figcaption", {}, value[side].title));
};

const move = (event, value, side) => {
  const [rows, columns] = gridOf(value);
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
    button.classList.toggle("partner", mass >= LEAST_SHARE);
    button.style.setProperty("--share", mass / most);
    if (here) button.tabIndex = at === index ? 0 : -1;
  }
  const weight = weightsOf(value, side)[index];
  const called = value[side].called;
  const name = `${called[0].toUpperCase()}${called.slice(1)} patch ${where(value, index)}`;
  const first = partners(value).slice(0, 4).map(([at, part]) => `${share(part)} ${view === "attention" ? "at" : side === "query" ? "to" : "from"} ${where(value, at)}`);
  element.querySelector(".told").textContent = view === "attention"
    ? `${name} looks, with ${value.attention.heads[head].name}, ${first.join("; ")}. It receives ${share(weight)} of the other face's attention.`
    : `${name} carries ${share(weight)} of the weight` +
      (first.length ? `: ${first.join("; ")}${partners(value).length > 4 ? "; and more" : ""}.` : ", so nothing flows here.");
};

const numbers = (value) => {
  const formula = el("table", { class: "terms" }, el("tbody", {},
    value.terms.map(([name, number, note]) =>
      el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, number), el("td", { class: "note" }, note)))));
  if (!value.live) return formula;
  const { stage, alpha, patch: distance, cosine } = value.live;
  const live = el("output", { class: "live" });
  const say = (a) => {
    live.textContent = `α = ${a.toFixed(2)}: ${fixed(a)} × ${fixed(distance)} + ${fixed(1 - a)} × ${fixed(cosine)} = ${fixed(a * distance + (1 - a) * cosine)}`;
  };
  say(alpha);
  const slider = el("input", {
    type: "range", min: 0, max: 1, step: 0.01, value: alpha, "aria-label": `α, share of the ${stage.toUpperCase()} distance`,
    oninput: (event) => {
      const a = Number(event.target.value);
      say(a);
      document.dispatchEvent(new CustomEvent("board-alpha", { detail: { stage, alpha: a, result: value.result } }));
    },
  });
  return el("div", {}, formula, el("label", { class: "alpha" }, "Try another α: the board re-orders as you move it", slider), live);
};

const bar = ({ picture, text }) => el("img", { class: "bar", src: picture, alt: text });

const lines = (value) => el("div", {},
  el("img", { class: "wide", src: value.lines, alt: `The ${value.lineCount} strongest flows drawn as lines from the ${value.query.called} to ${value.name}` }),
  el("p", { class: "hint" }, `The ${value.lineCount} strongest flows carry ${share(value.lineShare)} of the mass.`));

const correlation = (value) => el("div", {},
  el("div", { class: "maps" }, value.correlation.map((map) => el("section", {}, el("h4", {}, map.title),
    el("div", { class: "faces" }, ["query", "candidate"].map((side) => el("figure", { class: "face" },
      el("img", { src: map[side], alt: `Correlation of ${map.title} over the face of ${side === "query" ? `the ${value.query.called}` : value.name}`, style: { width: "100%", borderRadius: "8px" } }),
      el("figcaption", {}, value[side].title)))), bar(map.bar)))),
  el("p", { class: "hint" }, "How much each patch resembles the other face as a whole (cosine with its mean patch). Each map is drawn on the face it speaks of."));

const heads = (value) => el("div", { class: "heads", role: "radiogroup", "aria-label": "Attention head" },
  value.attention.heads.map(({ name }, index) => el("label", {}, el("input", {
    type: "radio", name: "attention-head", checked: index === head, onchange: () => {
      head = index;
      if (patch) paint(value, patch.side, patch.index);
    } }), name)));

const HINTS = {
  flow: (value) => `At each place of the ${value.query.called} stands the patch of the ${value.candidate.called} that receives most of its mass; the brighter, the more mass (the papers' Eq. 3.9).`,
  weights: (value) => value.weightsHint,
  attention: () => "Colours: how much each patch is looked at from the other face, mean of all heads and of both orders of the faces. Choose a patch to see where it looks.",
};

const body = (value) => {
  const others = { numbers, lines, correlation };
  if (view in others) return others[view](value);
  const told = el("p", { class: "told", role: "status", "aria-live": "polite" },
    "Point at a patch, or choose one with the arrow keys, to see what it exchanges with the other face.");
  const middle = view !== "flow" ? null
    : el("figure", { class: "face" }, el("div", { class: "frame" }, el("img", { src: dimmed ? value.flowPicture : value.flowPictureBright, alt:
        `The ${value.query.called} rebuilt: at each patch, the patch of ${value.name} that receives most of its mass; brighter means more mass` })),
      el("figcaption", {}, `${value.query.title} rebuilt from the ${value.candidate.called}`));
  return el("div", {},
    el("div", { class: `faces ${view}` }, face(value, "query"), middle, face(value, "candidate")),
    view === "flow" ? el("label", { class: "toggle" }, el("input", {
      type: "checkbox", checked: dimmed, onchange: (event) => { dimmed = event.target.checked; render(); },
    }), "Brightness shows mass") : bar(view === "weights" ? value.weightsBar : value.attention.bar),
    view === "attention" ? heads(value) : null, told,
    el("p", { class: "hint" }, HINTS[view](value)));
};

const render = () => {
  const value = props.value;
  const target = element.querySelector(".inspector-root");
  if (!target) return;
  target.replaceChildren();
  if (!value) return;
  const views = Object.entries(VIEWS).filter(([name]) => value[name] || !["attention", "correlation"].includes(name));
  if (!views.some(([name]) => name === view)) view = views[0][0];
  if (value.attention && head >= value.attention.heads.length) head = 0;
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
  if (patch && GRIDDED.includes(view)) paint(value, patch.side, Math.min(patch.index, weightsOf(value, patch.side).length - 1));
};
// Another part of the page asks for a view.
document.addEventListener("inspector-view", (event) => {
  view = event.detail;
  render();
  element.scrollIntoView({ block: "nearest" });
});
watch("value", render);
render();
