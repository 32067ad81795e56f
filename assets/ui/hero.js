// The answer in one look: the photo on its way, the query, the match, and why. What explains the match comes with the
// inspector's value, once that is there.
let explained = null; // the inspector's value
const HERO_KINDS = ["maps", "matrix", "flow"];

// Which explanation stands for the match: the one that the value names, else the last of those that stand beside each
// other, which is the ranking's own; and its picture on the first face.
const heroOf = (value) => {
  const words = Object.keys(value.explanations).filter((word) => HERO_KINDS.includes(value.explanations[word].kind));
  const word = words.includes(value.hero) ? value.hero : words.filter((one) => value.explanations[one].overview).at(-1) ?? words[0];
  if (!word) return null;
  const found = value.explanations[word];
  const shown = found.layers ? found.layers[0].heads[0] : found;
  return { word, title: found.title, note: found.note, bar: shown.bar, src: shown.pictures?.query ?? found.bright };
};

const reason = (value) => {
  const found = value && heroOf(value);
  if (!found) return figureOf("reason", "Why", null, "");
  const figure = figureOf("reason", found.title, found.src, `${found.title}: ${found.note}`);
  if (found.bar) figure.append(el("img", { class: "bar", src: found.bar.picture, alt: found.bar.text }));
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
