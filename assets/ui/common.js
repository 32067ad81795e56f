// Shared by the page's own components. Text always goes in as text, never as markup.
const el = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(node.style, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
};
// A distance; what rounds to nothing has no sign.
const fixed = (number, places = 3) =>
  number === null || number === undefined ? "–" : number.toFixed(places).replace(/^-(?=[0.]+$)/, "");
const movement = (places) => (places === 0 ? "same place" : `${places > 0 ? "▲" : "▼"} ${Math.abs(places)}`);
const moved = (places) =>
  places === 0 ? "same place" : `moved ${places > 0 ? "up" : "down"} ${Math.abs(places)}`;
const ordinal = (n) => {
  const tail = n % 100 > 10 && n % 100 < 14 ? "th" : ["th", "st", "nd", "rd"][n % 10] || "th";
  return `${n}${tail}`;
};

const nearestTo = (face) =>
  face ? el("small", {}, face.nobody ? "nobody here" : face.name, " ", el("span", { class: "number" }, fixed(face.distance))) : null;

// Where an arrow key leads on a grid of patches, as an index; undefined for any other key.
const stepped = (key, index, [rows, columns]) => {
  const row = Math.floor(index / columns), column = index % columns;
  const to = {
    ArrowRight: [row, Math.min(column + 1, columns - 1)], ArrowLeft: [row, Math.max(column - 1, 0)],
    ArrowDown: [Math.min(row + 1, rows - 1), column], ArrowUp: [Math.max(row - 1, 0), column],
  }[key];
  return to && to[0] * columns + to[1];
};

const picture = (title, src, alt, extra = null) =>
  el("figure", {}, el("div", { class: "frame" }, el("img", { src, alt }), extra), el("figcaption", {}, title));
// A photo as given, its faces boxed to choose from, and as altered. use: what choosing does, in words; choose: does it.
// photo.nearest: of each face, who is nearest to it, once that is known.
const photoFigures = (photo, title, use, choose) => {
  const { faces } = photo;
  const boxes = faces.map((face, index) =>
    el("button", {
      type: "button", class: `facebox${index === photo.face ? " chosen" : ""}`, "aria-pressed": String(index === photo.face),
      "aria-label": `${title}: face ${index + 1} of ${faces.length}${index === photo.face ? ", used" : `: ${use}`}`,
      style: { left: `${face[0]}%`, top: `${face[1]}%`, width: `${face[2]}%`, height: `${face[3]}%` },
      onclick: () => choose(index),
    }));
  // A face in a group is small: each again, large enough to tell who it is.
  const chips = faces.length < 2 ? null : el("div", { class: "chips", role: "group", "aria-label": `Faces of ${title}` },
    faces.map(([left, top, width, height], index) => el("div", { class: "chip-of" }, el("button", {
      type: "button", class: `chip${index === photo.face ? " chosen" : ""}`, "aria-pressed": String(index === photo.face),
      "aria-label": `Face ${index + 1}${index === photo.face ? ", used" : `: ${use}`}`,
      title: photo.nearest?.[index]?.text,
      style: {
        backgroundImage: `url(${photo.original})`, backgroundSize: `${10000 / width}% ${10000 / height}%`,
        backgroundPosition: `${(100 * left) / Math.max(100 - width, 1)}% ${(100 * top) / Math.max(100 - height, 1)}%`,
      },
      onclick: () => choose(index),
    }, el("span", {}, String(index + 1))), nearestTo(photo.nearest?.[index]))));
  return [
    picture(faces.length > 1 ? `${title}: ${faces.length} faces, pick one` : title, photo.original, `${title} as given`, boxes),
    photo.altered ? picture(photo.alteredTitle, photo.altered, `${title} altered: ${photo.alteredTitle}`) : null,
    chips,
  ];
};
// How faithful a map was measured to be, and where that is told in full. text: of it, all by default.
const STATES = new Map([[true, "passes"], [false, "fails"], [null, "unmeasured"]]);
const failed = (found) => found.badge?.passes === false;
const badge = ({ badge: measured }, text = "text") => (measured ? el("a", {
  class: `badge ${STATES.get(measured.passes)}`, href: `${location.pathname.replace(/[^/]*$/, "")}results?section=explanations`, title: measured.text,
}, measured[text]) : null);
// A colour bar in the page's own colours, whatever the theme.
const bar = ({ colours, label, marks, text }) => el("div", { class: "bar", role: "img", "aria-label": text },
  el("span", { class: "bar-label" }, label),
  el("span", { class: "strip", style: { backgroundImage: `linear-gradient(90deg, ${colours.join(", ")})` } }),
  el("span", { class: "marks" }, marks.map(([at, mark]) => el("span", { style: { left: `${100 * at}%` }, class: at === 0 ? "first" : at === 1 ? "last" : "" }, mark))));
// Where the browser cannot show a file that the server can read (TIFF), the form shows what was read.
const readable = (input, src) => {
  for (const image of document.querySelectorAll(`${input} img`)) {
    if (image.complete && !image.naturalWidth && image.src !== src) image.src = src;
  }
};
// What is seen to cover the face of a photo, in words.
const seenOn = (photo) => (photo.seen ? el("p", { class: "seen" }, photo.seen) : null);
// The settings of the answer go into the address bar, so that the link reopens the view; never the photo. What is looked
// at goes beside them: the candidate by its place in Stage 1, the tab, and the patch.
const LOOKED_AT = ["candidate", "tab", "patch"];
const linked = Object.fromEntries(LOOKED_AT.map((name) => [name, new URLSearchParams(location.search).get(name)]));
const showQuery = (query) => history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}`);
// The settings of an answer. A tab stays open whatever is answered; candidates and patches are of one answer.
const showLink = (settings) => {
  if (settings === undefined) return;
  const before = new URLSearchParams(location.search), query = new URLSearchParams(settings);
  for (const name of ["__theme", "tab", ...LOOKED_AT.filter((one) => linked[one])]) {
    if (before.get(name)) query.set(name, before.get(name));
  }
  showQuery(query);
};
// What is looked at, name → value, null for nothing.
const link = (looked) => {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(looked)) {
    if (value === null) query.delete(name);
    else query.set(name, value);
  }
  showQuery(query);
};
