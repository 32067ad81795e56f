// Shared by the page's own components. Text always goes in as text, never as markup.
const el = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(node.style, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
};
const fixed = (number) => (number === null || number === undefined ? "–" : number.toFixed(3));
const movement = (places) => (places === 0 ? "same place" : `${places > 0 ? "▲" : "▼"} ${Math.abs(places)}`);
const moved = (places) =>
  places === 0 ? "same place" : `moved ${places > 0 ? "up" : "down"} ${Math.abs(places)}`;
const ordinal = (n) => {
  const tail = n % 100 > 10 && n % 100 < 14 ? "th" : ["th", "st", "nd", "rd"][n % 10] || "th";
  return `${n}${tail}`;
};

const picture = (title, src, alt, extra = null) =>
  el("figure", {}, el("div", { class: "frame" }, el("img", { src, alt }), extra), el("figcaption", {}, title));
// A photo as given, its faces boxed to choose from, and as altered. use: what choosing does, in words; choose: does it.
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
    faces.map(([left, top, width, height], index) => el("button", {
      type: "button", class: `chip${index === photo.face ? " chosen" : ""}`, "aria-pressed": String(index === photo.face),
      "aria-label": `Face ${index + 1}${index === photo.face ? ", used" : `: ${use}`}`,
      style: {
        backgroundImage: `url(${photo.original})`, backgroundSize: `${10000 / width}% ${10000 / height}%`,
        backgroundPosition: `${(100 * left) / Math.max(100 - width, 1)}% ${(100 * top) / Math.max(100 - height, 1)}%`,
      },
      onclick: () => choose(index),
    }, el("span", {}, String(index + 1)))));
  return [
    picture(faces.length > 1 ? `${title}: ${faces.length} faces, pick one` : title, photo.original, `${title} as given`, boxes),
    photo.altered ? picture(photo.alteredTitle, photo.altered, `${title} altered: ${photo.alteredTitle}`) : null,
    chips,
  ];
};
// What is seen to cover the face of a photo, in words.
const seenOn = (photo) => (photo.seen ? el("p", { class: "seen" }, photo.seen) : null);
// The settings of the answer go into the address bar, so that the link reopens the view; never the photo.
const showLink = (link) => {
  if (link === undefined) return;
  const kept = new URLSearchParams(location.search).get("__theme");
  const query = new URLSearchParams(link);
  if (kept) query.set("__theme", kept);
  history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}`);
};
