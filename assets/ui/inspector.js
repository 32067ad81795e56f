// Two faces, explained by everything that is ready; all views share the chosen patch. What there is to see, and how it
// is called, comes with the value (demo/ui/views/inspector.py): here is only how each kind of result is drawn.
const ALL = { name: "all", title: "Side by side" };
let view = ALL.name;
let brightness = "full"; // of the rebuilt face
let coarse = NARROW.matches; // whether mass that flows is shown on fewer, larger patches: a finger hits them
const chosen = {}; // view → which of its explanations, where one is chosen

// An explanation as it is shown: on the patches that are chosen, where there are two kinds.
const shownOf = (value, word) => {
  const found = value.explanations[word];
  return coarse && found.coarse ? { ...found, ...found.coarse } : found;
};
const grain = (value, word) => {
  const found = value.explanations[word];
  return found.coarse ? choice("Patches", "patches", [found.grid.join(" × "), `${found.coarse.grid.join(" × ")}, easier to read`],
    Number(coarse), (to) => { coarse = Boolean(to); }) : null;
};

const wordOf = (value, shown) => (shown.explanations.includes(chosen[shown.name]) ? chosen[shown.name] : shown.explanations[0]);

const told = () => el("p", { class: "told", role: "status", "aria-live": "polite" },
  NOTHING);
const hint = (text) => (text ? el("p", { class: "hint" }, text) : null);

// Both faces of a panel, with what lies between them.
const faces = (value, word) => {
  const panel = panelOf(value, word);
  return el("div", { class: `faces ${panel.kind === "flow" ? "flow" : ""}` }, face(value, panel, "query"),
    panel.kind === "flow" ? rebuilt(value, shownOf(value, word), panel) : null, face(value, panel, "candidate"));
};
const BRIGHTNESS = { full: "All alike", veil: "Veil: less mass, darker", published: "As published (Eq. 3.9)" };
const rebuilt = (value, found, panel) =>
  el("figure", { class: "face" }, el("div", { class: "frame" }, el("img", {
    src: found.pictures[brightness],
    alt: `The ${value.query.called} rebuilt: at each patch, the patch of ${value.name} that receives most of its mass${brightness === "full" ? "" : "; brighter means more mass"}`,
  }), shadows(panel)), el("figcaption", {}, `${value.query.title} rebuilt from the ${value.candidate.called}`));

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

const overFaces = (value, shown, word, found) => [faces(value, word), bar(panelOf(value, word).bar), badge(found),
  choices(value, shown, found), told(), hint(found.hint)];

// The sum behind contributions.
const sum = (found) => {
  const total = found.values.query.reduce((a, b) => a + b, 0);
  return el("p", { class: "sum" }, `${fixed(found.baseline)} (${found.stranger ? "a typical stranger" : "nothing of the face"}) − ${fixed(total)} (sum of all patches) = ${fixed(found.distance)}, the distance`);
};

// Lines between the faces. With a patch chosen, its own; else the strongest of all.
const SVG = "http://www.w3.org/2000/svg", GAP = 0.3; // between the faces, as part of a face's width
let lineCount = 0, withOutside = false;
const svg = (tag, attributes, ...children) => {
  const node = document.createElementNS(SVG, tag);
  for (const [name, to] of Object.entries(attributes)) node.setAttribute(name, to);
  node.append(...children);
  return node;
};
const mixed = (colours, share) => colours[Math.round(Math.min(Math.max(share, 0), 1) * (colours.length - 1))];
const shownLines = (found) => {
  const free = withOutside ? found.flow : found.flow.filter(([i, j]) => !found.outside.query[i] && !found.outside.candidate[j]);
  const own = patch && found.flow.filter(([i, j]) => (patch.side === "query" ? i : j) === indexIn(found.grid));
  return (own ?? free).sort((a, b) => b[2] - a[2]).slice(0, lineCount || found.count);
};
const drawLines = (value) => {
  const target = element.querySelector("svg.lines");
  if (!target) return;
  const found = shownOf(value, target.dataset.word), [rows, columns] = found.grid;
  const height = Number(target.dataset.height), most = Math.max(...found.flow.map((line) => line[2]), 1e-9);
  const at = (index, left) => [left + (100 * ((index % columns) + 0.5)) / columns, (height * (Math.floor(index / columns) + 0.5)) / rows];
  const [low, high] = found.scale, shown = shownLines(found);
  target.replaceChildren(...shown.reverse().map(([i, j, mass, cost]) => {
    const [x, y] = at(i, 0), [toX, toY] = at(j, 100 * (1 + GAP));
    const bend = (y + toY) / 2 < height / 2 ? -height / 9 : height / 9;
    const path = `M${x} ${y} Q${(x + toX) / 2} ${(y + toY) / 2 + bend} ${toX} ${toY}`;
    const width = 0.5 + 3 * Math.sqrt(mass / most);
    return svg("g", { class: "line" }, svg("path", { d: path, class: "casing", "stroke-width": width + 0.8 }),
      svg("path", { d: path, stroke: mixed(found.bar.colours, (cost - low) / Math.max(high - low, 1e-9)), "stroke-width": width },
        svg("title", {}, `${share(mass)} of the mass, row ${Math.floor(i / columns) + 1}, column ${(i % columns) + 1} to row ${Math.floor(j / columns) + 1}, column ${(j % columns) + 1}, at distance ${fixed(cost, 2)}`)));
  }));
  const carried = shown.reduce((a, line) => a + line[2], 0);
  element.querySelector(".carried").textContent = `${shown.length} ${shown.length === 1 ? "line carries" : "lines carry"} ${share(carried)} of the mass.`
    + (withOutside || patch ? "" : ` Patches of hair, collar and background are left out: ${share(found.apart)} of the mass leaves or enters them.`);
};
const lineStage = (value, word, found) => {
  const panel = panelOf(value, word), height = (100 * found.shape[0]) / found.shape[1];
  const drawn = svg("svg", { class: "lines", viewBox: `0 0 ${100 * (2 + GAP)} ${height}`, role: "img", "aria-label": "Lines between patches that exchange mass", "data-word": word, "data-height": height });
  const stage = el("div", { class: "stage" }, face(value, panel, "query"), face(value, panel, "candidate"));
  stage.append(drawn);
  const slider = el("input", { type: "range", min: 1, max: 60, step: 1, value: lineCount || found.count, "aria-label": "How many lines",
    oninput: (event) => { lineCount = Number(event.target.value); drawLines(value); } });
  const outside = el("input", { type: "checkbox", checked: withOutside, onchange: (event) => { withOutside = event.target.checked; drawLines(value); } });
  return [stage, bar(found.bar), el("div", { class: "line-controls" }, el("label", {}, "Lines", slider), el("label", {}, outside, "also hair, collar and background")),
    el("p", { class: "carried" })];
};

// What is computed when it is looked at: asked for once, until another view is opened.
const asked = new Set();
const ask = (event, detail, text) => {
  const key = JSON.stringify([event, detail]);
  if (!asked.has(key)) trigger(event, detail);
  asked.add(key);
  return el("p", { class: "hint", role: "status" }, text);
};

// How each kind of result fills a view.
const BODIES = {
  later: (value, shown, word, found) => [
    ask("explain", { result: value.result, row: value.row, word }, `Measuring: ${found.title} …`), choices(value, shown, found)],
  maps: overFaces,
  matrix: overFaces,
  signed: (value, shown, word, found) => [faces(value, word), bar(found.bar), sum(found), badge(found), choices(value, shown, found), told(), hint(found.hint)],
  flow: (value, shown, word, found) => [faces(value, word), grain(value, word),
    choice("Brightness", "brightness", Object.values(BRIGHTNESS), Object.keys(BRIGHTNESS).indexOf(brightness), (to) => { brightness = Object.keys(BRIGHTNESS)[to]; }),
    badge(found), choices(value, shown, found), told(), hint(found.hint + (brightness === "full" ? "" : " The brighter, the more mass."))],
  lines: (value, shown, word, found) => [lineStage(value, word, found), grain(value, word), choices(value, shown, found), told(), hint(found.hint)],
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
    const word = wordOf(value, shown), found = shownOf(value, word);
    return el("div", {}, BODIES[found.kind](value, shown, word, found).flat(2));
  }
  const words = shown.explanations;
  return el("div", {}, el("div", { class: "maps" }, words.map((word) => el("section", {},
    el("h3", {}, value.explanations[word].title), faces(value, word), bar(panelOf(value, word).bar), badge(value.explanations[word])))), told(),
  [...new Set(words.map((word) => value.explanations[word].hint))].map(hint));
};

// What stands for a view where everything is shown: what is chosen there, the last where all are.
const overviewOf = (value, shown) => {
  const words = shown.explanations.filter((word) => value.explanations[word].overview);
  if (!words.length) return null;
  if (shown.together) return words[words.length - 1];
  const word = wordOf(value, shown);
  return value.explanations[word].kind === "later" ? words[0] : word;
};

// Everything at once; the headings open their own views.
const all = (value) => {
  const kept = [], papers = []; // what passed the test of faithfulness or was not put to it, and what did not pass
  for (const shown of value.views) {
    const word = overviewOf(value, shown), panel = word && panelOf(value, word);
    if (!panel) continue;
    const found = value.explanations[word];
    (failed(found) ? papers : kept).push(el("section", { class: shown.name }, el("h3", {}, el("button", {
      type: "button", title: `Open the view ${shown.title}`, onclick: () => open(shown.name),
    }, shown.together ? found.title : shown.title)), el("p", { class: "hint" }, found.note, panel.kind === "flow" && brightness !== "full" ? " The brighter a patch, the more it carries." : ""),
    faces(value, word), panel.bar ? bar(panel.bar) : null, panel.kind === "signed" ? sum(found) : null, badge(found)));
  }
  const heading = papers.length ? el("p", { class: "papers" }, el("strong", {}, "As in the papers. "), "These did not pass the test of faithfulness: what they show is real, but it does not say what the score rests on.") : null;
  return el("div", {}, told(), el("div", { class: "overview" }, kept, heading, papers));
};

// Why this one and not that one: a rival from a menu, what of the query prefers which, and the way from one lead to the other.
const CONTRAST = { name: "contrast", title: "Why not another?", explanations: [] };
let rival = 0, contrasts = null; // the next people, once they were asked for
const contrast = (value) => {
  if (!contrasts) return ask("contrast", { result: value.result, row: value.row }, "Comparing with the next people …");
  const found = contrasts[rival] ?? contrasts[0];
  const menu = el("label", { class: "rival" }, "Instead of", el("select", { onchange: (event) => { rival = Number(event.target.value); render(); element.querySelector(".rival select").focus(); } },
    contrasts.map(({ name, ranks }, at) => el("option", { value: at, selected: contrasts[at] === found }, `${name}, ${ordinal(ranks[1][2])}`))));
  const [ours, theirs] = found.ranks;
  const pictures = [[found.ours, ours[0]], [found.picture, value.query.title], [found.crop, theirs[0]]].map(([src, title], at) =>
    el("figure", { class: "face" }, el("div", { class: "frame" }, el("img", { src, alt: at === 1 ? `${title}: blue prefers ${ours[0]}, orange ${theirs[0]}` : `Aligned face: ${title}` })), el("figcaption", {}, title)));
  return el("div", { class: "contrast" }, menu, el("div", { class: "faces flow" }, pictures), bar(found.bar), waterfall(found),
    el("p", { class: "hint" }, found.told), hint("Blue patches of the query bring the first nearer than the second, orange ones the other way round. Each bar is how much of the lead one part of the distance gives or takes; a lead to the left of the line would be the other's."));
};
const waterfall = (found) => {
  const ends = found.steps.reduce((all, [, lead]) => [...all, all[all.length - 1] + lead], [0]);
  const bars = [...found.steps.map(([name, lead], at) => ({ name, from: ends[at], to: ends[at + 1], lead })),
    { name: "Lead in the ranking", from: 0, to: found.lead, lead: found.lead, total: true }];
  const low = Math.min(0, ...ends, found.lead), high = Math.max(0, ...ends, found.lead), range = Math.max(high - low, 1e-9);
  const place = (x) => `${(100 * (x - low)) / range}%`;
  const rank = (at) => found.ranks.map(([name, ...both]) => `${name} ${ordinal(both[at])}`).join(", ");
  return el("table", { class: "waterfall" }, el("caption", {}, `Before re-ranking: ${rank(0)}. After: ${rank(1)}.`), el("tbody", {}, bars.map(({ name, from, to, lead, total }) =>
    el("tr", { class: total ? "total" : "" }, el("th", { scope: "row" }, name), el("td", { class: "way" },
      el("span", { class: "zero", style: { left: place(0) } }),
      el("span", { class: `step ${lead < 0 ? "down" : "up"}`, style: { left: place(Math.min(from, to)), width: `${(100 * Math.abs(to - from)) / range}%` } })),
    el("td", {}, signedText(lead))))));
};

const open = (name) => {
  view = name;
  asked.clear(); // if an answer never came, ask again
  render();
  element.querySelector(`#view-${name}`).focus();
};

const render = () => {
  const value = props.value && { ...props.value, explanations: { ...props.value.explanations, ...measured } };
  const target = element.querySelector(".inspector-root");
  if (!target) return;
  target.replaceChildren();
  if (!value || value.pending) return;
  const views = [ALL, ...value.views.slice(0, 1), ...(value.contrasted ? [CONTRAST] : []), ...value.views.slice(1)];
  const shown = views.find(({ name }) => name === view) ?? ALL;
  view = shown.name;
  const panel = el("div", { class: "panel", role: "tabpanel", id: "inspector-panel", "aria-labelledby": `view-${view}` },
    shown === ALL ? all(value) : shown === CONTRAST ? contrast(value) : body(value, shown));
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
  drawLines(value);
};
// Another part of the page asks for a view, and one of its explanations.
document.addEventListener("inspector-view", (event) => {
  const { name, word } = event.detail;
  view = name;
  if (word) chosen[name] = word;
  render();
  element.scrollIntoView({ block: "nearest" });
});
// Another candidate is on its way: say so until it is there.
document.addEventListener("inspector-opening", (event) => {
  const heading = element.querySelector("h2");
  if (!heading) return;
  heading.textContent = `Opening ${event.detail} …`;
  element.querySelector(".inspector-root").setAttribute("aria-busy", "true");
});
let measured = {}; // what was computed of the candidate when it was looked at
const candidateOf = (value) => `${value.result} ${value.row}`;
document.addEventListener("what-if", ({ detail: answer }) => {
  if (!props.value || candidateOf(answer) !== candidateOf(props.value)) return;
  if (answer.kind === "contrasts") contrasts = answer.contrasts;
  else if (answer.kind === "explained") measured[answer.word] = answer.explanation;
  else return;
  render();
});
let seen = null; // which candidate of which answer is shown
watch("value", () => {
  if (props.value?.pending) { // what stood here stays, dimmed, until its successor is there
    const target = element.querySelector(".inspector-root");
    if (!target.querySelector("h2")) target.append(el("h2", {}));
    target.querySelector("h2").textContent = props.value.pending;
    target.setAttribute("aria-busy", "true");
    document.dispatchEvent(new CustomEvent("inspector-shown", { detail: null }));
    return;
  }
  const now = props.value ? candidateOf(props.value) : null;
  if (now !== seen) { // all of these are of another face
    [patch, rival, contrasts, measured] = [null, 0, null, {}];
    asked.clear();
  }
  seen = now;
  element.querySelector(".inspector-root")?.removeAttribute("aria-busy");
  render();
  document.dispatchEvent(new CustomEvent("inspector-shown", { detail: props.value }));
});
render();
