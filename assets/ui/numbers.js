// A number that is stepped by its arrows, by key or mouse, counts once the hand rests, as it does after Enter.
const STEPPED = 400; // milliseconds
let stepping = null;
document.addEventListener("input", ({ target, inputType }) => {
  if (target.type !== "number" || inputType || !target.closest("#form")) return; // typed digits have a kind of input
  clearTimeout(stepping);
  stepping = setTimeout(() => target.dispatchEvent(new KeyboardEvent("keypress", { key: "Enter" })), STEPPED);
}, true);
