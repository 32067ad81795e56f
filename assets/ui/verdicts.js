// Two photos and every method's verdict. The value is built by demo/ui/views/verdicts.py.
const SIGNS = { same: "✓", uncertain: "?", different: "✗" };

// Where the distance lies on a line from 0: left of the band same, inside uncertain, right of it different.
const scale = ({ distance, threshold }) => {
  const end = Math.max(distance * 1.15, threshold.upper * 1.5);
  const at = (x) => `${(100 * x) / end}%`;
  return el("div", { class: "scale", "aria-hidden": "true" },
    el("div", { class: "band", style: { left: at(threshold.lower), width: at(threshold.upper - threshold.lower) } }),
    el("div", { class: "line", style: { left: at(threshold.value) } }),
    el("div", { class: "here", style: { left: at(distance) } }));
};

const verdictRow = (row) => el("tr", { "data-method": row.method },
  el("th", { scope: "row" }, row.title),
  el("td", { "data-label": "Distance" }, el("span", { class: "number" }, fixed(row.distance))),
  el("td", { "data-label": "Threshold" }, row.threshold === null ? "not measured" : [
    el("span", { class: "number" }, fixed(row.threshold.value)),
    el("small", {}, `uncertain from ${fixed(row.threshold.lower)} to ${fixed(row.threshold.upper)}`), scale(row)]),
  el("td", { "data-label": "Verdict", class: "said" },
    el("span", { class: `sign ${row.verdict}`, "aria-hidden": "true" }, SIGNS[row.verdict] || "–"), ` ${row.words}`),
  el("td", {}, el("button", {
    type: "button", class: "why", "aria-label": `See why: ${row.title}`,
    onclick: () => document.dispatchEvent(new CustomEvent("inspector-view", { detail: { name: row.view, word: row.explanation } })),
  }, "See why")));

// A photo on its way to the aligned face.
const wayOf = (photo, which) => el("div", { class: "query" },
  photoFigures(photo, photo.title, "compare this one", (index) => trigger("face", { which, index })), seenOn(photo));
// Both faces as the matcher sees them, each beside its photo, and why.
const heroOfPair = ([first, second]) => {
  const aligned = (photo) => ({ title: photo.title, src: photo.crop, alt: `${photo.title}: the aligned face` });
  const shown = hero(wayOf(first, 0), aligned(first), aligned(second));
  shown.querySelector(".second").after(wayOf(second, 1));
  return shown;
};

const render = () => {
  const value = props.value;
  const target = element.querySelector(".verdicts-root");
  if (!target) return;
  target.replaceChildren();
  if (!value) return;
  if (value.error) {
    target.append(el("div", { class: "problem", role: "alert" }, el("p", {}, value.error)));
    return;
  }
  showLink(value.link);
  ["#first-photo", "#second-photo"].forEach((input, which) => readable(input, value.photos[which].original));
  target.append(
    el("p", { class: "sentence", role: "status" }, value.sentence),
    heroOfPair(value.photos),
    el("table", { class: "verdicts" },
      el("caption", { class: "sr" }, "What every method says of the two photos"),
      el("thead", {}, el("tr", {}, ["Method", "Distance", "Threshold", "Verdict"].map((title) =>
        el("th", { scope: "col" }, title)), el("td", {}))),
      el("tbody", {}, value.rows.map(verdictRow))),
    el("p", { class: "hint" }, "Smaller distances are nearer. Left of the shaded band: same person; inside: uncertain; right of it: different people. A distance says how alike two pictures are to this network; it does not prove who someone is."),
    value.sources.length ? el("details", { class: "verdict" }, el("summary", {}, "Where the thresholds come from"),
      value.sources.map((source) => el("p", {}, source)),
      el("p", {}, "The threshold (the line across the bar) is the distance of equal error rate: as large a share of strangers lies below it as of one person's pairs above. The band reaches from where 1 % of the strangers would pass to where 5 % of one person's pairs would fail, and holds the threshold."),
      el("ul", {}, value.rows.filter((row) => row.threshold).map((row) =>
        el("li", {}, `${row.title}: equal error rate ${row.threshold.error.toFixed(1)} %`)))) : "");
  explain(target);
};
document.addEventListener("inspector-shown", (event) => {
  explained = event.detail;
  explain(element.querySelector(".verdicts-root"));
  if (explained) setTimeout(reopen); // once the inspector has drawn it
});
watch("value", render);
render();
