// What is looked at in the inspector goes into the address bar, and a link opens it again.
const inspected = () => document.querySelector("#inspector");
const follow = (event) => {
  if (!inspected()?.contains(event.target)) return;
  setTimeout(() => { // once the inspector has done what it does
    const tab = inspected().querySelector("[role=tab][aria-selected=true]");
    const chosen = inspected().querySelector(".patch.chosen");
    const pinned = chosen && inspected().querySelector(".told[aria-live=polite]");
    link({
      tab: tab && tab.id !== "view-all" ? tab.id.replace("view-", "") : null,
      patch: pinned ? `${chosen.dataset.side}-${chosen.dataset.index}` : null,
    });
  });
};
document.addEventListener("click", follow, true);
document.addEventListener("keyup", follow, true);
// Opens what the link of the page names, once, when the candidate that it names is there.
const reopen = () => {
  const { tab, patch } = linked;
  linked.tab = linked.patch = null;
  if (tab && inspected()?.querySelector(`[id="view-${CSS.escape(tab)}"]`)) document.dispatchEvent(new CustomEvent("inspector-view", { detail: { name: tab } }));
  const [side, index] = (patch ?? "").split("-");
  if (side) inspected()?.querySelector(`.patch[data-side="${CSS.escape(side)}"][data-index="${CSS.escape(index ?? "")}"]`)?.click();
};
