// Who waits for others is told in words how many come before, and how long it takes: Gradio's "queue: 3/5 | 1.2/4.0s".
const QUEUE = /queue: (\d+)\/\d+ \|\s*(?:([\d.]+)\/([\d.]+)s)?/;
const place = (text) => {
  const found = QUEUE.exec(text);
  if (!found) return null;
  const before = Number(found[1]) - 1, seconds = Math.max(1, Math.ceil(Number(found[3]) - Number(found[2])));
  return `${before ? `${before} before you` : "You are next"}${found[3] ? `, about ${seconds} s` : ""}`;
};
const tellPlace = () => {
  for (const text of element.closest(".block").querySelectorAll(".progress-text")) {
    const told = place(text.textContent);
    if (told) text.dataset.told = told;
    else delete text.dataset.told;
  }
};
new MutationObserver(tellPlace).observe(element.closest(".block"), { childList: true, subtree: true, characterData: true });
