// The answer in one look: the photo on its way, the query, the match, and why. What explains the match comes with the
// inspector's value, once that is there.
let explained = null; // the inspector's value
const SIGNED = "signed"; // what speaks for and against: the sum of it is the distance
const HERO_KINDS = [SIGNED, "maps", "matrix", "flow"];

// Which explanation stands for the match: what speaks for and against by the ranking's own distance, which comes first in
// its view, or the next such that passed the test of faithfulness where that one failed it; else the last of those that
// stand beside each other; and its picture on the first face.
const heroOf = (value) => {
  const words = value.views.flatMap((view) => view.explanations).filter((word) => HERO_KINDS.includes(value.explanations[word].kind));
  const signed = words.filter((one) => value.explanations[one].kind === SIGNED);
  const word = signed.find((one) => !failed(value.explanations[one])) ?? signed[0] ?? words.filter((one) => value.explanations[one].overview).at(-1) ?? words[0];
  if (!word) return null;
  const found = value.explanations[word];
  const shown = found.layers ? found.layers[0].heads[0] : found;
  return { word, kind: found.kind, title: found.title, note: found.note, badge: found.badge, bar: shown.bar, src: shown.pictures.query ?? shown.pictures.full };
};

// What can be drawn at once after a change, where the other takes longer.
const quickOf = (value) => {
  const word = Object.keys(value.explanations).filter((one) => ["maps", "flow"].includes(value.explanations[one].kind) && value.explanations[one].overview).at(-1);
  return word ? { word, title: value.explanations[word].title } : null;
};

const reason = (value) => {
  const found = value && heroOf(value);
  if (!found) return figureOf("reason", "Why", null, "");
  const figure = figureOf("reason", found.title, found.src, `${found.title}: ${found.note}`);
  if (found.bar) figure.append(bar(found.bar));
  if (found.badge) figure.append(badge(found, "short"));
  return figure;
};

const figureOf = (name, title, src, alt, extra = null) =>
  el("figure", { class: `large ${name}` }, el("div", { class: "frame" }, src ? el("img", { src, alt }) : el("div", { class: "empty" }), extra),
    el("figcaption", {}, title));

// steps: what stands before the query. query, match: {title, src, alt}. The rest is filled by ``explain``.
const hero = (steps, query, match) => el("div", { class: "hero" }, el("p", { class: "because", "aria-live": "polite" }),
  el("div", { class: "looks" }, steps, figureOf("first", query.title, query.src, query.alt),
    figureOf("second", match.title, match.src, match.alt), reason(null)));

// Put in what the inspector knows of the match.
const explain = (target) => {
  const figure = target?.querySelector(".hero .reason");
  if (!figure || !explained) return;
  figure.replaceWith(reason(explained));
  target.querySelector(".hero .because").textContent = explained.sentence ?? "";
};
