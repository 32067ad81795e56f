// The form of the page in a drawer, where there is no room beside the answer (app.css says where that is).
const form = () => document.querySelector("#form");
const opener = () => element.querySelector("button");
const opened = () => form().classList.contains("drawer-open");
const turn = (open) => {
  form().classList.toggle("drawer-open", open);
  opener().setAttribute("aria-expanded", String(open));
  opener().textContent = open ? "Close" : props.value;
};
const render = () => {
  const target = element.querySelector(".drawer-root");
  if (!target || !props.value) return;
  target.replaceChildren(el("button", {
    type: "button", class: "drawer-button", "aria-expanded": "false", "aria-controls": "form", onclick: () => turn(!opened()),
  }, props.value));
};
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !opened()) return;
  turn(false);
  opener().focus();
});
// What asks for an answer lets it be seen.
document.addEventListener("click", (event) => {
  if (opened() && event.target.closest?.("#go, #compare-go, .examples button")) turn(false);
});
watch("value", render);
render();
