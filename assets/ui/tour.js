// A guided tour of one match: five steps, one at a time, over the page. What each says comes with the value
// (demo/ui/views/tour.py).
let at = 0;

const askTour = () => {
  const value = props.value;
  element.querySelector(".tried").textContent = "The tour is on its way …";
  trigger("tour", { result: value.result, row: value.selected });
};
const openTour = (tour) => {
  element.querySelector(".tried").textContent = "";
  at = 0;
  const dialog = el("dialog", { class: "tour", "aria-labelledby": "tour-title", onclose: () => {
    dialog.remove();
    element.querySelector("[data-tool=tour]")?.focus();
  }, onkeydown: (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) go(dialog, tour, at + step);
  } });
  element.querySelector(".board-root").append(dialog);
  go(dialog, tour, 0);
  dialog.showModal();
};
const go = (dialog, tour, to) => {
  const { steps } = tour;
  if (to < 0 || to >= steps.length) return;
  at = to;
  const { title, text, pictures } = steps[at], last = at === steps.length - 1;
  dialog.replaceChildren(
    el("div", { class: "way", role: "group", "aria-label": "Steps" }, steps.map((step, number) => el("button", {
      type: "button", "aria-current": number === at ? "step" : null, onclick: () => go(dialog, tour, number),
    }, `${number + 1}. ${step.title}`))),
    el("h3", { id: "tour-title", tabindex: -1 }, `${at + 1} of ${steps.length}: ${title}`),
    el("div", { class: "pictures" }, pictures.map(([src, caption]) => el("figure", {}, el("img", { src, alt: "" }), el("figcaption", {}, caption)))),
    ...text.map((words) => el("p", {}, words)),
    el("div", { class: "buttons" }, el("button", { type: "button", disabled: at === 0, onclick: () => go(dialog, tour, at - 1) }, "Back"),
      el("button", { type: "button", class: "next", onclick: () => (last ? dialog.close() : go(dialog, tour, at + 1)) }, last ? "Done" : "Next"),
      last ? null : el("button", { type: "button", onclick: () => dialog.close() }, "Close")));
  dialog.querySelector("#tour-title").focus();
};
