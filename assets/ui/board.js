// The query, the verdict and the two rankings side by side. The value is built by demo/ui/views/board.py.
const root = () => element.querySelector(".board-root");
// The answer that is shown, the candidate that was chosen of it, and who is nearest to each face of the photo.
let kept = { result: null, row: null, faces: null };
let alphas = {}; // stage → α; the inspector's slider moves the first stage's

const order = (value, stage) => {
  const alpha = alphas[stage];
  const measured = value.candidates.filter((c) => stage in c.second);
  const mixed = (c) => alpha * c.second[stage] + (1 - alpha) * c.first;
  measured.sort((a, b) => mixed(a) - mixed(b) || a.rank - b.rank);
  return [...measured, ...value.candidates.filter((c) => !(stage in c.second))].map((c, slot) => ({
    ...c, combined: stage in c.second ? mixed(c) : null, moved: c.rank - slot - 1,
  }));
};

const mark = (correct) =>
  correct === null ? null
    : el("span", { class: correct ? "mark right" : "mark wrong", title: correct ? "same person" : "another person" },
        correct ? "✓" : "✗", el("span", { class: "sr" }, correct ? " same person" : " another person"));

// A photo in a ranking. change: where it stands in the other one, in words.
const cell = (value, c, distance, place, change) => {
  const selected = value.selected === c.row;
  const truth = c.correct === null ? "" : c.correct ? " right" : " wrong";
  return el("button", {
    type: "button", class: `cell${truth}${selected ? " selected" : ""}`, "aria-pressed": String(selected),
    "data-row": c.row, title: `${c.name}, ${c.path}: open it above and below`,
    onclick: () => { select(value, c.row); },
  },
  el("img", { src: c.thumb, alt: "", width: 48, height: Math.round((48 * value.crop[1]) / value.crop[0]) }),
  el("span", { class: "about" },
    el("span", { class: "name" }, el("span", { class: "place" }, `${place}. `), c.name, " ", mark(c.correct)),
    el("span", { class: "number" }, fixed(distance)),
    change ? el("span", { class: "change" }, change) : null));
};

const candidateOf = (value, row) => value.candidates.find((c) => c.row === row);
const select = (value, row) => {
  value.selected = kept.row = row;
  for (const button of element.querySelectorAll(".cell")) {
    const chosen = Number(button.dataset.row) === row;
    button.classList.toggle("selected", chosen);
    button.setAttribute("aria-pressed", String(chosen));
  }
  for (const one of element.querySelectorAll(".ribbon")) one.classList.toggle("selected", Number(one.dataset.row) === row);
  element.querySelector(".hero")?.replaceWith(heroOfBoard(value));
  element.querySelector(".hero").setAttribute("aria-busy", "true");
  document.dispatchEvent(new CustomEvent("inspector-opening", { detail: candidateOf(value, row).name }));
  link({ candidate: candidateOf(value, row).rank, patch: null });
  trigger("inspect", { row, result: value.result });
};

const rankings = (value) => {
  const first = value.candidates.slice(0, value.top);
  const stages = value.stages.map((stage) => {
    const rows = order(value, stage.name);
    return { ...stage, rows: rows.slice(0, value.top), order: rows.map((c) => c.row) };
  });
  const heading = (title, note) => el("th", { scope: "col" }, title, el("small", {}, note));
  const head = el("tr", {}, heading("Stage 1", "cosine distance"),
    stages.map((stage) => [el("td", { class: "between" }), heading(`Stage 2: ${stage.title}`, `with cosine, α = ${alphas[stage.name].toFixed(2)}`)]));
  const look = (row) => {
    const c = candidateOf(value, row);
    return `${c?.correct === true ? "right" : ""} ${row === value.selected ? "selected" : ""}`;
  };
  const orders = [value.candidates.map((c) => c.row), ...stages.map((stage) => stage.order)];
  const now = (c) => { // where the only other ranking puts it
    const at = stages.length === 1 ? orders[1].indexOf(c.row) : -1;
    return at < 0 || at < value.top ? null : `now ${ordinal(at + 1)}`;
  };
  const rows = first.map((c, slot) => el("tr", {}, el("td", {}, cell(value, c, c.first, slot + 1, now(c))),
    stages.map(({ rows: ranked }, number) => [
      slot ? null : el("td", { class: "between", rowspan: first.length }, ribbons(orders[number], orders[number + 1], first.length, look)),
      ranked[slot] ? el("td", {}, cell(value, ranked[slot], ranked[slot].combined ?? ranked[slot].first, slot + 1,
        ranked[slot].moved ? `was ${ordinal(ranked[slot].rank)}` : "as before")) : el("td", {}),
    ])));
  return el("table", { class: `ranks stages-${stages.length}` },
    el("caption", { class: "sr" }, "The nearest gallery photos before and after re-ranking"),
    el("thead", {}, head), el("tbody", {}, rows));
};

const heroOfBoard = (value) => {
  reset(); // what was tried was of another match, or is undone
  const match = candidateOf(value, value.selected), { query } = value;
  const patches = `${value.grid[0]} × ${value.grid[1]} patches`;
  const shown = hero(el("div", { class: "query" }, photoFigures({ ...query, nearest: kept.faces }, "Original", "identify this one", (index) => trigger("face", { index })), seenOn(query)),
    { title: `Query, ${patches}`, src: query.crop, alt: `The query: the aligned face as the matcher sees it, in ${patches}` },
    { title: `Match: ${match.name}`, src: match.thumb, alt: `The match: ${match.name}` });
  shown.append(tools());
  return shown;
};

const render = () => {
  const value = props.value;
  const target = root();
  if (!target) return;
  target.replaceChildren();
  target.classList.remove("outdated");
  if (!value) return;
  if (value.error) {
    target.append(el("div", { class: "problem", role: "alert" },
      el("p", {}, value.error), value.photo ? el("img", { src: value.photo, alt: "The photo in which no answer was found" }) : null));
    return;
  }
  if (kept.result === value.result) { // the same answer once more: as the visitor left it
    value.selected = kept.row ?? value.selected;
  } else {
    kept = { result: value.result, row: null, faces: null };
    alphas = Object.fromEntries(value.stages.map((stage) => [stage.name, stage.alpha]));
  }
  showLink(value.link);
  const asked = linked.candidate && value.candidates.find((c) => c.rank === Number(linked.candidate) && c.thumb);
  readable("#photo", value.query.original);
  target.append(el("p", { class: "sentence", role: "status" }, value.sentence));
  if (value.verdict) {
    target.append(el("details", { class: `verdict ${value.verdict.kind}` },
      el("summary", {}, value.verdict.text), el("p", {}, value.verdict.detail)));
  }
  target.append(heroOfBoard(value), rankings(value));
  explainHero();
  told(value);
  if (asked && asked.row !== value.selected) select(value, asked.row);
  linked.candidate = null; // of the first answer only
};

// What was said holds for the α that was asked for; of another the nearest is told, and nothing of strangers.
const told = (value) => {
  const tried = value.stages.find((stage) => stage.alpha !== alphas[stage.name]);
  element.querySelector(".verdict")?.toggleAttribute("hidden", Boolean(tried));
  const [first] = tried ? order(value, tried.name) : [];
  element.querySelector(".sentence").textContent = tried
    ? `With α = ${alphas[tried.name].toFixed(2)} the nearest is ${first.name} at ${fixed(first.combined ?? first.first)}.` : value.sentence;
};

const reorder = (event) => {
  const value = props.value;
  if (!value || value.error || event.detail.result !== value.result) return;
  alphas[event.detail.stage] = event.detail.alpha;
  reweigh();
};
// What is shown is not what the form asks for.
const stopped = () => {
  const value = props.value;
  if (!value || element.querySelector(".stale") || !root()?.children.length) return;
  root().prepend(el("p", { class: "stale", role: "status" }, "Stopped: this answer is of the settings before. Press Identify for those of the form."));
  root().classList.add("outdated");
};
document.addEventListener("board-stopping", () => {
  if (element.closest(".pending") || element.querySelector(".pending")) stopped(); // Gradio's mark of a value to come
});
document.addEventListener("board-alpha", reorder);
// What the inspector shows of the chosen candidate is shown at the top, too.
const explainHero = () => {
  const value = props.value;
  if (!value || value.error || explained?.result !== value.result || explained.row !== value.selected) return;
  explain(root());
  const hero = element.querySelector(".hero"), { top, bottom } = hero.getBoundingClientRect();
  // Who chose a candidate below sees it: where the answer is out of sight, it comes into view.
  if (hero.hasAttribute("aria-busy") && (bottom < 0 || top > innerHeight)) hero.scrollIntoView({ block: "start" });
  hero.removeAttribute("aria-busy");
  setTimeout(reopen); // once the inspector has drawn it
};
document.addEventListener("inspector-shown", (event) => {
  explained = event.detail;
  const value = props.value, late = explained && value && !value.error && explained.result === value.result && explained.row !== value.selected;
  if (late && !element.querySelector(".hero")?.hasAttribute("aria-busy")) trigger("inspect", { row: value.selected, result: value.result });
  explainHero();
});
document.addEventListener("what-if", ({ detail: answer }) => {
  if (answer.kind !== "faces" || answer.result !== kept.result) return;
  kept.faces = answer.faces;
  for (const [index, chip] of [...element.querySelectorAll(".hero .chip-of")].entries()) { // in place: one may have the focus
    if (!kept.faces[index] || chip.children.length > 1) continue;
    chip.firstChild.title = kept.faces[index].text;
    chip.append(nearestTo(kept.faces[index]));
  }
});
watch("value", render);
render();
