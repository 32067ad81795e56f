// The query, the verdict and the two rankings side by side. The value is built by demo/ui/views/board.py.
const root = () => element.querySelector(".board-root");
let kept = { result: null, row: null }; // the answer that is shown, and the candidate that was chosen of it
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

const cell = (value, c, distance, place, change) => {
  const selected = value.selected === c.row;
  const truth = c.correct === null ? "" : c.correct ? " right" : " wrong";
  return el("button", {
    type: "button", class: `cell${truth}${selected ? " selected" : ""}`, "aria-pressed": String(selected),
    "data-row": c.row, title: `${c.name}, ${c.path}: open in the inspector`,
    onclick: () => { select(value, c.row); },
  },
  el("img", { src: c.thumb, alt: "", width: 96, height: Math.round((96 * value.crop[1]) / value.crop[0]) }),
  el("span", { class: "about" },
    el("span", { class: "name" }, el("span", { class: "place" }, `${place}. `), c.name, " ", mark(c.correct)),
    el("span", { class: "number" }, fixed(distance)),
    change === null ? null
      : el("span", { class: "change" }, el("span", { "aria-hidden": "true" }, movement(change)),
          el("span", { class: "sr" }, moved(change)))));
};

const select = (value, row) => {
  value.selected = kept.row = row;
  for (const button of element.querySelectorAll(".cell")) {
    const chosen = Number(button.dataset.row) === row;
    button.classList.toggle("selected", chosen);
    button.setAttribute("aria-pressed", String(chosen));
  }
  document.dispatchEvent(new CustomEvent("inspector-opening", { detail: value.candidates.find((c) => c.row === row).name }));
  trigger("inspect", { row, result: value.result });
};

const rankings = (value) => {
  const first = value.candidates.slice(0, value.top);
  const stages = value.stages.map((stage) => ({ ...stage, rows: order(value, stage.name).slice(0, value.top) }));
  const { pictured } = value; // small pictures that explain one of the stages
  const explained = pictured && stages.find((stage) => stage.name === pictured.stage);
  const heading = (title, note, wide = true) =>
    el("th", { scope: "col", class: wide ? null : "pictured" }, title, el("small", {}, note));
  const head = el("tr", {}, heading("Stage 1", "cosine distance"),
    explained ? heading(pictured.title, pictured.note, false) : null,
    stages.map((stage) => heading(`Stage 2: ${stage.title}`, `with cosine, α = ${alphas[stage.name].toFixed(2)}`)));
  const rows = first.map((c, slot) => {
    const small = explained?.rows[slot];
    return el("tr", {}, el("td", {}, cell(value, c, c.first, slot + 1, null)),
      small ? el("td", { class: "pictured" }, small.picture ? el("img", { ...small.picture, width: 96 }) : null) : null,
      stages.map(({ rows: ranked }) => ranked[slot]).map((other) =>
        el("td", {}, cell(value, other, other.combined ?? other.first, slot + 1, other.moved))));
  });
  return el("table", { class: `ranks stages-${stages.length}` },
    el("caption", { class: "sr" }, "The nearest gallery photos before and after re-ranking"),
    el("thead", {}, head), el("tbody", {}, rows));
};

const queryStrip = (value) =>
  el("div", { class: "query" }, photoFigures(value.query, "Original", "identify this one", (index) => trigger("face", { index })),
    picture(`What the matcher sees, ${value.grid[0]} × ${value.grid[1]} patches`, value.query.crop,
      "The aligned face with the grid of patches drawn on it"), seenOn(value.query));

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
    kept = { result: value.result, row: null };
    alphas = Object.fromEntries(value.stages.map((stage) => [stage.name, stage.alpha]));
  }
  showLink(value.link);
  target.append(queryStrip(value));
  target.append(el("p", { class: "sentence", role: "status" }, value.sentence));
  if (value.verdict) {
    target.append(el("details", { class: `verdict ${value.verdict.kind}` },
      el("summary", {}, value.verdict.text), el("p", {}, value.verdict.detail)));
  }
  target.append(rankings(value));
  told(value, value.stages.find((stage) => stage.alpha !== alphas[stage.name]));
};

// What was said holds for the α that was asked for; of another the nearest is told, and nothing of strangers.
const told = (value, tried) => {
  element.querySelector(".verdict")?.toggleAttribute("hidden", Boolean(tried));
  const [first] = tried ? order(value, tried.name) : [];
  element.querySelector(".sentence").textContent = tried
    ? `With α = ${alphas[tried.name].toFixed(2)} the nearest is ${first.name} at ${fixed(first.combined ?? first.first)}.` : value.sentence;
};

const reorder = (event) => {
  const value = props.value;
  if (!value || value.error || event.detail.result !== value.result) return;
  alphas[event.detail.stage] = event.detail.alpha;
  element.querySelector("table.ranks")?.replaceWith(rankings(value));
  told(value, value.stages.find((stage) => stage.alpha !== alphas[stage.name]));
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
watch("value", render);
render();
