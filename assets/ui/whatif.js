// What if? The query and the match under the answer can be changed by hand: patches covered, blurred or forced together,
// a mask moved, or hidden one after the other. Each change is sent to the server, one at a time, the newest wins; what
// comes back moves the numbers, the map and the board.
const TOUCHED = matchMedia("(pointer: coarse)").matches, PRESS = TOUCHED ? "Tap" : "Click";
const TOOLS = {
  cover: { title: "Cover", told: `${PRESS} or brush patches of either face to cover them.`, sides: ["query", "candidate"], place: "covered" },
  blur: { title: "Blur", told: `${PRESS} or brush patches of either face to blur them.`, sides: ["query", "candidate"], place: "blurred" },
  force: { title: "Force a match", told: `${PRESS} a patch of the query, then the patch of the match that it must go to.`, sides: ["query", "candidate"] },
  mask: { title: "Drag a mask", told: TOUCHED ? "Drag the mask." : "Drag the mask, or move it with the arrow keys.", sides: [] },
};
const FIGURES = { query: ".large.first", candidate: ".large.second" };
const MASK_STEP = 0.03;
const untouched = () => ({ query: { covered: [], blurred: [] }, candidate: { covered: [], blurred: [] }, mask: null, forced: [] });
let tool = null, edit = untouched(), from = null; // from: the query's patch that waits for its partner
let number = 0, answered = 0, stamp = 0, due = false, resting = null, outcome = null, played = null, playing = null, cloth = null;

const touched = () => JSON.stringify(edit) !== JSON.stringify(untouched());
const looks = () => element.querySelector(".looks");
const figureFor = (side) => looks()?.querySelector(FIGURES[side]);

const PATIENCE = 8000, REST = 500; // milliseconds: no answer is waited for any longer; the hand rests
const ask = () => {
  const value = props.value, hero = explained && heroOf(explained);
  stamp += 1;
  clearTimeout(resting);
  if (hero?.kind === SIGNED) { // takes longer than the numbers, so it is drawn once the hand rests
    resting = setTimeout(() => touched() && trigger("redraw", { result: value.result, row: value.selected, edit, word: hero.word, number: stamp }), REST);
  }
  if (number > answered) {
    due = true; // once the answer to the one before is there
    return;
  }
  due = false;
  number += 1;
  const asked = number;
  setTimeout(() => { answered = Math.max(answered, asked); }, PATIENCE);
  element.querySelector(".tried")?.setAttribute("aria-busy", "true");
  trigger("tryout", { result: value.result, row: value.selected, edit, word: (hero?.kind === SIGNED ? quickOf(explained) : hero)?.word ?? "", number, ...shareOf(value) });
};
// The share α of the first ranking, as the board shows it.
const shareOf = ({ stages: [stage] }) => (stage ? { alpha: alphas[stage.name] } : {});

// One patch is hidden, or seen again.
const hide = (side, index, on) => {
  const list = edit[side][TOOLS[tool].place], at = list.indexOf(index);
  if (on === at >= 0) return;
  if (on) list.push(index);
  else list.splice(at, 1);
  markPatches();
  ask();
};
const force = (side, index) => {
  if (side === "query") {
    const before = edit.forced.length;
    edit.forced = edit.forced.filter(([first]) => first !== index);
    from = before === edit.forced.length ? index : null;
    if (before !== edit.forced.length) ask();
  } else if (from !== null) {
    edit.forced.push([from, index]);
    from = null;
    ask();
  }
  markPatches();
};

// How the patches look: hidden, waiting for a partner, or forced.
const markPatches = () => {
  for (const button of element.querySelectorAll(".brush button")) {
    const { side } = button.dataset, index = Number(button.dataset.index);
    const pressed = tool === "force"
      ? (side === "query" && from === index) || edit.forced.some((pair) => pair[side === "query" ? 0 : 1] === index)
      : edit[side][TOOLS[tool].place].includes(index);
    button.setAttribute("aria-pressed", String(pressed));
  }
};

const brush = (side) => {
  const [rows, columns] = props.value.grid;
  let painting = null; // whether the stroke hides or shows
  const grid = el("div", {
    class: `brush ${tool}`, role: "group", "aria-label": `Patches of the ${side === "query" ? "query" : "match"}: arrow keys move, Enter changes one`,
    style: { gridTemplate: `repeat(${rows}, 1fr) / repeat(${columns}, 1fr)` },
    onpointerdown: (event) => {
      const index = event.target.dataset.index;
      if (index === undefined || tool === "force") return;
      event.target.releasePointerCapture?.(event.pointerId);
      painting = !edit[side][TOOLS[tool].place].includes(Number(index));
      hide(side, Number(index), painting);
    },
    onpointermove: (event) => {
      if (painting === null || !event.buttons) return;
      const under = document.elementFromPoint(event.clientX, event.clientY);
      if (grid.contains(under) && under.dataset.index !== undefined) hide(side, Number(under.dataset.index), painting);
    },
    onpointerup: () => { painting = null; },
    onpointerleave: () => { painting = null; },
    onclick: (event) => {
      const index = Number(event.target.dataset.index);
      if (tool === "force") force(side, index);
      else if (event.detail === 0) hide(side, index, !edit[side][TOOLS[tool].place].includes(index)); // by key
    },
    onkeydown: (event) => {
      const to = stepped(event.key, Number(event.target.dataset.index), props.value.grid);
      if (to === undefined) return;
      event.preventDefault();
      const next = grid.children[to];
      event.target.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    },
  }, Array.from({ length: rows * columns }, (_, index) => el("button", {
    type: "button", "data-side": side, "data-index": index, tabindex: index ? -1 : 0, "aria-pressed": "false",
    "aria-label": `Row ${Math.floor(index / columns) + 1}, column ${(index % columns) + 1} of the ${side === "query" ? "query" : "match"}`,
  })));
  return grid;
};

// The mask as it was drawn, over the face without it, to be moved.
const draggable = ({ bare, cloth: src }) => {
  const frame = figureFor("query").querySelector(".frame");
  frame.querySelector("img").src = bare;
  let start = null;
  const move = (right, down) => {
    edit.mask = [right, down].map((way) => Math.max(-0.6, Math.min(0.6, way)));
    cloth.style.transform = `translate(${100 * edit.mask[0]}%, ${100 * edit.mask[1]}%)`;
    ask();
  };
  cloth = el("img", {
    class: "cloth", src, alt: "The mask, to be moved", tabindex: 0, role: "slider", "aria-label": "The mask: arrow keys move it",
    "aria-valuetext": "as it was drawn", "aria-valuenow": 0, draggable: "false",
    onpointerdown: (event) => {
      event.preventDefault();
      cloth.setPointerCapture(event.pointerId);
      start = [event.clientX, event.clientY, ...edit.mask];
    },
    onpointermove: (event) => {
      if (!start) return;
      const { width, height } = frame.getBoundingClientRect();
      move(start[2] + (event.clientX - start[0]) / width, start[3] + (event.clientY - start[1]) / height);
    },
    onpointerup: () => { start = null; },
    onpointercancel: () => { start = null; },
    onkeydown: (event) => {
      const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
      if (!step) return;
      event.preventDefault();
      move(edit.mask[0] + MASK_STEP * step[0], edit.mask[1] + MASK_STEP * step[1]);
      cloth.setAttribute("aria-valuetext", `${Math.round(100 * edit.mask[0])} % to the right, ${Math.round(100 * edit.mask[1])} % down`);
    },
  });
  frame.append(cloth);
};

// Takes a tool in hand, or lays it down.
const take = (word) => {
  stopPlaying();
  tool = tool === word ? null : word;
  from = null;
  for (const old of element.querySelectorAll(".brush, .cloth")) old.remove();
  cloth = null;
  if (tool !== "mask" && edit.mask && tool) edit.mask = null;
  for (const side of tool ? TOOLS[tool].sides : []) figureFor(side).querySelector(".frame").append(brush(side));
  if (tool === "mask") edit.mask ??= [0, 0];
  if (tool) markPatches();
  looks().classList.toggle("trying", Boolean(tool));
  element.querySelector(".tools").replaceWith(tools());
  if (tool === "mask" || touched()) ask();
};

const reset = () => {
  stopPlaying();
  tool = null, edit = untouched(), from = null, outcome = null, played = null, cloth = null;
  answered = number;
  due = false;
  clearTimeout(resting);
};
const undo = () => {
  reset();
  const value = props.value;
  element.querySelector(".hero").replaceWith(heroOfBoard(value));
  explainHero();
  element.querySelector("table.ranks").replaceWith(rankings(value));
  element.querySelector(".sentence").style.minHeight = "";
  element.querySelector(".verdict")?.classList.remove("of-before");
  told(value);
};
// Another α: of the answer, or of what was tried.
const reweigh = () => {
  const value = props.value;
  element.querySelector("table.ranks")?.replaceWith(rankings(current(value)));
  if (!outcome) {
    told(value);
    return;
  }
  tell(value);
  if (touched()) ask(); // whoever comes up now has a face, too
};

const tools = () => el("div", { class: "tools" },
  el("div", { class: "bar-of-tools", role: "toolbar", "aria-label": "Try it yourself" }, el("span", { class: "label" }, "What if?"),
    Object.entries(TOOLS).map(([word, { title }]) => el("button", {
      type: "button", "data-tool": word, "aria-pressed": String(tool === word), onclick: () => take(word),
    }, title)),
    el("button", { type: "button", "data-tool": "play", onclick: play }, "▶ Play deletion"),
    el("button", { type: "button", "data-tool": "tour", "aria-haspopup": "dialog", onclick: askTour }, "Tour in five steps"),
    tool || touched() || played ? el("button", { type: "button", "data-tool": "undo", onclick: undo }, "Undo all") : null),
  el("p", { class: "tried", role: "status" }, triedText()), played ? screen() : null);

const triedText = () => {
  if (!outcome) return tool ? TOOLS[tool].told : "";
  const value = props.value, before = placeOf(value), after = placeOf(current(value)), match = candidateOf(value, value.selected);
  return [
    `${match.name}: distance ${fixed(before.distance)} → ${fixed(after.distance)}, ${ordinal(before.rank)} → ${ordinal(after.rank)} of ${outcome.of}.`,
    outcome.unforced ? " No mass flows in this ranking between these two, so nothing was forced: choose the EMD." : "",
  ].join("");
};
// Where the match stands in the first re-ranking.
const placeOf = (value) => {
  const [stage] = value.stages;
  const ranked = stage ? order(value, stage.name) : value.candidates;
  const rank = ranked.findIndex((c) => c.row === value.selected);
  const c = ranked[rank];
  return { rank: rank + 1, distance: (stage && c.combined) ?? c.first };
};

// The board's value as it would be, or as it is where nothing was tried.
const current = (value) => {
  if (!outcome) return value;
  const { thumbs } = outcome, cosines = new Map(outcome.first);
  const patches = Object.entries(outcome.second).map(([stage, measured]) => [stage, new Map(measured)]);
  const candidates = value.candidates.filter((c) => cosines.has(c.row)).map((c) => ({
    ...c, first: cosines.get(c.row), thumb: c.thumb ?? thumbs[c.row] ?? null,
    second: Object.fromEntries(patches.filter(([, measured]) => measured.has(c.row)).map(([stage, measured]) => [stage, measured.get(c.row)])),
  })).sort((a, b) => a.first - b.first);
  return { ...value, candidates: candidates.map((c, at) => ({ ...c, rank: at + 1 })) };
};

// The map as it is now, of an explanation; without one, that of before is dimmed.
const redraw = (src, of) => {
  const figure = looks().querySelector(".reason"), map = figure.querySelector("img");
  map?.classList.toggle("of-another", !src);
  if (!map || !src) return;
  map.src = src;
  map.alt = of.title;
  figure.querySelector("figcaption").textContent = of.title;
  figure.classList.toggle("quick", of.word !== heroOf(explained).word);
};
const show = (answer) => {
  outcome = answer;
  const value = props.value;
  if (answer.mask && tool === "mask" && !cloth) draggable(answer.mask);
  if (tool !== "mask") figureFor("query").querySelector("img").src = answer.crops[0];
  figureFor("candidate").querySelector("img").src = answer.crops[1];
  redraw(answer.reason, heroOf(explained)?.kind === SIGNED ? quickOf(explained) : heroOf(explained));
  element.querySelector(".because").classList.add("of-another"); // it is of the match as it was
  element.querySelector("table.ranks").replaceWith(rankings(current(value)));
  element.querySelector(".tried").removeAttribute("aria-busy");
  tell(value);
  if (!element.querySelector("[data-tool=undo]")) element.querySelector(".tools").replaceWith(tools());
};
// What was tried, in words.
const tell = (value) => {
  element.querySelector(".tried").textContent = triedText();
  const now = current(value), [nearest] = value.stages.length ? order(now, value.stages[0].name) : now.candidates;
  const sentence = element.querySelector(".sentence"); // as high as before, so that nothing moves under the hand
  sentence.style.minHeight ||= `${sentence.getBoundingClientRect().height}px`;
  element.querySelector(".verdict")?.classList.add("of-before");
  sentence.textContent = `With this change the nearest is ${nearest.name} at ${fixed(nearest.combined ?? nearest.first)}.`;
};

// Patches are hidden in the order of the map, a tenth at a time.
const play = () => {
  const value = props.value;
  if (!explained) return;
  if (tool || touched()) undo();
  element.querySelector(".tried").textContent = "Hiding patches in the order of the map, and in five random orders …";
  trigger("play", { result: value.result, row: value.selected, word: heroOf(explained)?.word ?? "", ...shareOf(value) });
};
const stopPlaying = () => {
  clearInterval(playing);
  playing = null;
};
const screen = () => {
  const slider = el("input", {
    type: "range", min: 0, max: played.shares.length - 1, step: 1, value: played.at, "aria-label": "Share of the patches that are hidden",
    oninput: (event) => { stopPlaying(); step(Number(event.target.value)); },
  });
  return el("div", { class: "played" }, el("div", { class: "chart" }, curves(played, played.at)),
    el("div", {}, el("p", {}, el("span", { class: "key named" }), ` ${played.title}: the patches it names first are hidden first`),
      el("p", {}, el("span", { class: "key chance" }), " random order, the mean of five"),
      slider, el("p", { class: "hint" }, "The faster the distance rises, the truer the map is to what was measured.")));
};
const step = (at) => {
  played.at = at;
  element.querySelector(".played .chart").replaceChildren(curves(played, at));
  element.querySelector(".played input").value = at;
  figureFor("query").querySelector("img").src = played.crops[at];
  element.querySelector(".tried").textContent = `${Math.round(100 * played.shares[at])} % hidden: distance ${fixed(played.named[at])}, ${fixed(played.random[at])} in random order.`;
};
const start = (answer) => {
  played = { ...answer, at: 0 };
  element.querySelector(".tools").replaceWith(tools());
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    step(played.shares.length - 1);
    return;
  }
  playing = setInterval(() => {
    if (!played || !element.querySelector(".played") || played.at >= played.shares.length - 1) stopPlaying();
    else step(played.at + 1);
  }, 700);
  step(0);
};

document.addEventListener("what-if", ({ detail: answer }) => {
  const value = props.value;
  if (!value || answer.result !== value.result || answer.row !== value.selected) return;
  if (answer.kind === "played") start(answer);
  else if (answer.kind === "tour") openTour(answer);
  else if (answer.kind === "map") {
    if (answer.number === stamp && touched()) redraw(answer.reason, heroOf(explained));
  }
  else if (answer.number === number && touched()) {
    answered = number;
    show(answer);
    if (due) ask();
  }
});
