// Two faces, explained by everything that is ready; all views share the chosen patch. What there is to see, and how it
// is called, comes with the value (demo/ui/views/inspector.py): here is only how each kind of result is drawn.
const ALL = { name: "all", title: "Side by side" };
let view = ALL.name;
let dimmed = true;
const chosen = {}; // view → which of its explanations, where one is chosen

const wordOf = (value, shown) => (shown.explanations.includes(chosen[shown.name]) ? chosen[shown.name] : shown.explanations[0]);

// A colour bar in the page's own colours, whatever the theme.
const bar = ({ colours, label, marks, text }) => el("div", { class: "bar", role: "img", "aria-label": text },
  el("span", { class: "bar-label" }, label),
  el("span", { class: "strip", style: { backgroundImage: `linear-gradient(90deg, ${colours.join(", ")})` } }),
  el("span", { class: "marks" }, marks.map(([at, mark]) => el("span", { style: { left: `${100 * at}%` }, class: at === 0 ? "first" : at === 1 ? "last" : "" }, mark))));
const told = () => el("p", { class: "told", role: "status", "aria-live": "polite" },
  NOTHING);
const hint = (text) => (text ? el("p", { class: "hint" }, text) : null);

// Both faces of a panel, with what lies between them.
const faces = (value, word) => {
  const panel = panelOf(value, word);
  return el("div", { class: `faces ${panel.kind === "flow" ? "flow" : ""}` }, face(value, panel, "query"),
    panel.kind === "flow" ? rebuilt(value, value.explanations[word]) : null, face(value, panel, "candidate"));
};
const rebuilt = (value, found) =>
  el("figure", { class: "face" }, el("div", { class: "frame" }, el("img", {
    src: dimmed ? found.picture : found.bright,
    alt: `The ${value.query.called} rebuilt: at each patch, the patch of ${value.name} that receives most of its mass${dimmed ? "; brighter means more mass" : ""}`,
  })), el("figcaption", {}, `${value.query.title} rebuilt from the ${value.candidate.called}`));

// A choice between the entries of a list; none where there is but one.
const choice = (label, name, entries, at, choose) => (entries.length < 2 ? null
  : el("div", { class: "heads", role: "radiogroup", "aria-label": label }, el("span", { "aria-hidden": "true" }, `${label}:`),
      entries.map((entry, index) => el("label", {}, el("input", {
        type: "radio", name, checked: index === at, onchange: () => {
          choose(index);
          render();
          element.querySelectorAll(`input[name=${name}]`)[index].focus();
        } }), entry))));

// Which of the explanations of a view is shown, and of a matrix which part.
const choices = (value, shown, found) => [
  choice("Map", `${shown.name}-map`, shown.explanations.map((word) => value.explanations[word].short),
    shown.explanations.indexOf(wordOf(value, shown)), (to) => { chosen[shown.name] = shown.explanations[to]; }),
  ...(found.layers ? [
    choice("Layer", `${shown.name}-layer`, found.layers.map(({ name }) => name), layer, (to) => { layer = to; }),
    choice("Head", `${shown.name}-head`, chosenLayer(found).heads.map(({ name }) => name), head, (to) => { head = to; })] : []),
];

const overFaces = (value, shown, word, found) => [faces(value, word), bar(panelOf(value, word).bar),
  choices(value, shown, found), told(), hint(found.hint)];

// The sum behind contributions.
const sum = (value, found) => {
  const total = found.values.query.reduce((a, b) => a + b, 0);
  return el("p", { class: "sum" }, `${found.baseline.toFixed(3)} (${found.stranger ? "a typical stranger" : "nothing of the face"}) − ${total.toFixed(3)} (sum of all patches) = ${found.distance.toFixed(3)}, the distance`);
};

// How each kind of result fills a view.
const BODIES = {
  maps: overFaces,
  signed: (value, shown, word, found) => [faces(value, word), bar(found.bar), sum(value, found), choices(value, shown, found), told(), hint(found.hint)],
  matrix: overFaces,
  flow: (value, shown, word, found) => [faces(value, word),
    el("label", { class: "toggle" }, el("input", {
      type: "checkbox", checked: dimmed, onchange: (event) => { dimmed = event.target.checked; render(); },
    }), "Brightness shows mass"), choices(value, shown, found), told(), hint(found.hint + (dimmed ? " The brighter, the more mass." : ""))],
  lines: (value, shown, word, found) => [
    el("img", { class: "wide", src: found.picture, alt: `The ${found.count} strongest flows drawn as lines from the ${value.query.called} to ${value.name}` }),
    choices(value, shown, found), hint(`The ${found.count} strongest flows carry ${share(found.share)} of the mass.`)],
  numbers: (value, shown, word, found) => [
    el("table", { class: "terms" }, el("tbody", {}, found.terms.map(([name, number, note]) =>
      el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, number), el("td", { class: "note" }, note))))),
    choices(value, shown, found), live(value)],
};

// Another α for the first ranking: the board re-orders.
let tried = {}; // answer and ranking → the α that the board shows
const live = (value) => {
  if (!value.live) return null;
  const { stage, title, alpha, first, second } = value.live;
  const said = el("output", { class: "live" });
  const say = (a) => {
    said.textContent = `α = ${a.toFixed(2)}: ${fixed(a)} × ${fixed(second)} + ${fixed(1 - a)} × ${fixed(first)} = ${fixed(a * second + (1 - a) * first)}`;
  };
  const key = `${value.result} ${stage}`;
  const start = tried[key] ?? alpha; // as it was left, whatever was looked at meanwhile
  say(start);
  const slider = el("input", {
    type: "range", min: 0, max: 1, step: 0.01, value: start, "aria-label": `α, share of the ${title} distance`,
    oninput: (event) => {
      const a = Number(event.target.value);
      say(a);
      tried = { [key]: a };
      document.dispatchEvent(new CustomEvent("board-alpha", { detail: { stage, alpha: a, result: value.result } }));
    },
  });
  return [el("label", { class: "alpha" }, "Try another α: the board re-orders as you move it", slider), said];
};

// A view: what is chosen of its explanations, or all of them below each other.
const body = (value, shown) => {
  if (!shown.together) {
    const word = wordOf(value, shown), found = value.explanations[word];
    return el("div", {}, BODIES[found.kind](value, shown, word, found).flat(2));
  }
  const words = shown.explanations;
  return el("div", {}, el("div", { class: "maps" }, words.map((word) => el("section", {},
    el("h3", {}, value.explanations[word].title), faces(value, word), bar(panelOf(value, word).bar)))), told(),
  [...new Set(words.map((word) => value.explanations[word].hint))].map(hint));
};

// What stands for a view where everything is shown: what is chosen there, the last where all are.
const overviewOf = (value, shown) => {
  const words = shown.explanations.filter((word) => value.explanations[word].overview);
  if (!words.length) return null;
  return shown.together ? words[words.length - 1] : wordOf(value, shown);
};

// Everything at once; the headings open their own views.
const all = (value) => el("div", {}, told(), el("div", { class: "overview" }, value.views.map((shown) => {
  const word = overviewOf(value, shown), panel = word && panelOf(value, word);
  if (!panel) return null;
  return el("section", { class: shown.name }, el("h3", {}, el("button", {
    type: "button", title: `Open the view ${shown.title}`, onclick: () => open(shown.name),
  }, shown.together ? value.explanations[word].title : shown.title)), el("p", { class: "hint" }, value.explanations[word].note, panel.kind === "flow" && dimmed ? " The brighter a patch, the more it carries." : ""), faces(value, word), panel.bar ? bar(panel.bar) : null);
})));

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
  const views = [ALL, ...value.views];
  const shown = views.find(({ name }) => name === view) ?? ALL;
  view = shown.name;
  const panel = el("div", { class: "panel", role: "tabpanel", id: "inspector-panel", "aria-labelledby": `view-${view}` },
    shown === ALL ? all(value) : body(value, shown));
  const tabs = el("div", { class: "views", role: "tablist", "aria-label": "Views of this match",
    onkeydown: (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const at = views.findIndex(({ name }) => name === view);
      open(views[(at + step + views.length) % views.length].name);
    } },
    views.map(({ name, title }) => el("button", {
      type: "button", role: "tab", id: `view-${name}`, "aria-selected": String(name === view),
      "aria-controls": "inspector-panel", tabindex: name === view ? 0 : -1, onclick: () => open(name),
    }, title)));
  target.append(el("h2", {}, value.title), value.sentence ? el("p", { class: "sentence" }, value.sentence) : "", tabs, panel);
  if (element.querySelector(".told")) paint(value);
};
// Another part of the page asks for a view.
document.addEventListener("inspector-view", (event) => {
  view = event.detail;
  render();
  element.scrollIntoView({ block: "nearest" });
});
// Another candidate is on its way: say so until it is there, and bring it into view then.
let awaited = false;
document.addEventListener("inspector-opening", (event) => {
  const heading = element.querySelector("h2");
  if (!heading) return;
  awaited = true;
  heading.textContent = `Opening ${event.detail} …`;
  element.querySelector(".inspector-root").setAttribute("aria-busy", "true");
});
let seen = null; // which candidate of which answer is shown
watch("value", () => {
  const now = props.value ? `${props.value.result} ${props.value.row}` : null;
  if (now !== seen) patch = null; // a patch was chosen on another face
  seen = now;
  element.querySelector(".inspector-root")?.removeAttribute("aria-busy");
  render();
  const heading = element.querySelector("h2"), top = heading?.getBoundingClientRect().top ?? 0;
  if (awaited && (top < 0 || top > 0.6 * innerHeight)) heading.scrollIntoView({ block: "start" });
  awaited = false;
  document.dispatchEvent(new CustomEvent("inspector-shown", { detail: props.value }));
});
render();
