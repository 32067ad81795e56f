// One candidate beside the query, explained by every method that is ready; all views share the chosen patch.
const VIEWS = {
  all: "Side by side", flow: "Flow", lines: "Lines", weights: "Weights", attention: "Attention", correlation: "Correlation",
  numbers: "Numbers",
};
let view = "all";
let dimmed = true;

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
const told = () => el("p", { class: "told", role: "status", "aria-live": "polite" },
  "Point at a patch, or choose one with the arrow keys, to see what it exchanges with the other face.");
const faces = (value, panel, middle = null) =>
  el("div", { class: `faces ${panel === PANELS.flow ? "flow" : ""}` }, face(value, panel, "query"), middle, face(value, panel, "candidate"));

const rebuilt = (value) =>
  el("figure", { class: "face" }, el("div", { class: "frame" }, el("img", {
    src: dimmed ? value.flowPicture : value.flowPictureBright,
    alt: `The ${value.query.called} rebuilt: at each patch, the patch of ${value.name} that receives most of its mass; brighter means more mass`,
  })), el("figcaption", {}, `${value.query.title} rebuilt from the ${value.candidate.called}`));

const lines = (value) => el("div", {},
  el("img", { class: "wide", src: value.lines, alt: `The ${value.lineCount} strongest flows drawn as lines from the ${value.query.called} to ${value.name}` }),
  el("p", { class: "hint" }, `The ${value.lineCount} strongest flows carry ${share(value.lineShare)} of the mass.`));

const flow = (value) => el("div", {}, faces(value, PANELS.flow, rebuilt(value)),
  el("label", { class: "toggle" }, el("input", {
    type: "checkbox", checked: dimmed, onchange: (event) => { dimmed = event.target.checked; render(); },
  }), "Brightness shows mass"), told(),
  el("p", { class: "hint" }, `At each place of the ${value.query.called} stands the patch of the ${value.candidate.called} that receives most of its mass; the brighter, the more mass (the papers' Eq. 3.9).`));

const weights = (value) => el("div", {}, faces(value, PANELS.weights), bar(value.weightsBar), told(),
  el("p", { class: "hint" }, value.weightsHint));

const correlation = (value) => el("div", {}, el("div", { class: "maps" }, value.correlation.map((map) =>
  el("section", {}, el("h4", {}, map.title), faces(value, correlationPanel(map)), bar(map.bar)))), told(),
el("p", { class: "hint" }, "How much each patch resembles the other face as a whole (cosine with its mean patch). Each map is drawn on the face it speaks of."));

// A choice between the entries of a list; none where there is but one.
const choice = (label, name, entries, chosen, choose) => (entries.length < 2 ? null
  : el("div", { class: "heads", role: "radiogroup", "aria-label": label }, el("span", { "aria-hidden": "true" }, `${label}:`),
      entries.map((entry, index) => el("label", {}, el("input", {
        type: "radio", name, checked: index === chosen, onchange: () => {
          choose(index);
          render();
          element.querySelectorAll(`input[name=${name}]`)[index].focus();
        } }), entry.title ?? entry.name))));

const attention = (value) => {
  const { ways } = value.attention;
  const chosen = chosenWay(value);
  return el("div", {}, faces(value, PANELS.attention), bar(chosenHead(value).map.bar),
    choice("Map", "attention-way", ways, way, (to) => { way = to; }),
    choice("Layer", "attention-layer", chosen.layers, layer, (to) => { layer = to; }),
    choice("Head", "attention-head", (chosen.layers[layer] ?? chosen.layers[0]).heads, head, (to) => { head = to; }),
    told(), el("p", { class: "hint" }, chosen.hint));
};

// Every explanation at once; the headings open their own views.
const all = (value) => {
  const panels = [["flow", PANELS.flow], ["weights", PANELS.weights], ...(value.attention ? [["attention", PANELS.attention]] : []),
    ["correlation", correlationPanel(value.correlation[value.correlation.length - 1])]];
  return el("div", {}, told(), el("div", { class: "overview" }, panels.map(([name, panel]) =>
    el("section", { class: name }, el("h4", {}, el("button", {
      type: "button", title: `Open the view ${VIEWS[name]}`, onclick: () => open(name),
    }, VIEWS[name])), el("p", { class: "hint" }, panel.note),
    faces(value, panel, name === "flow" ? rebuilt(value) : null), panel.bar ? bar(panel.bar(value)) : null))));
};

const BODIES = { all, flow, lines, weights, attention, correlation, numbers };

const open = (name) => {
  view = name;
  render();
  element.querySelector(`#view-${name}`).focus();
};

const render = () => {
  const value = props.value;
  const target = element.querySelector(".inspector-root");
  if (!target) return;
  target.replaceChildren();
  if (!value) return;
  const views = Object.entries(VIEWS).filter(([name]) => value.attention || name !== "attention");
  if (!views.some(([name]) => name === view)) view = views[0][0];
  const panel = el("div", { class: "panel", role: "tabpanel", id: "inspector-panel", "aria-labelledby": `view-${view}` }, BODIES[view](value));
  const tabs = el("div", { class: "views", role: "tablist", "aria-label": "Views of this match",
    onkeydown: (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const at = views.findIndex(([name]) => name === view);
      open(views[(at + step + views.length) % views.length][0]);
    } },
    views.map(([name, title]) => el("button", {
      type: "button", role: "tab", id: `view-${name}`, "aria-selected": String(name === view),
      "aria-controls": "inspector-panel", tabindex: name === view ? 0 : -1, onclick: () => open(name),
    }, title)));
  target.append(el("h3", {}, value.title), tabs, panel);
  if (element.querySelector(".told")) paint(value);
};
// Another part of the page asks for a view.
document.addEventListener("inspector-view", (event) => {
  view = event.detail;
  render();
  element.scrollIntoView({ block: "nearest" });
});
watch("value", render);
render();
