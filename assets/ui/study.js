// The way through the study. The server says which screen is up; this page shows it and reports what happened.

const main = document.getElementById("study");
const foot = document.getElementById("foot");
const dialog = document.getElementById("withdraw");
const GATES = { instructions: ["How it works", "Start"], rest: ["Time for a rest", "Go on"], ready: ["Ready?", "Start the test"] };
let ticket = null;
// A newer tab of the same participant says so to the older ones; the server would refuse their answers anyway.
const tabs = new BroadcastChannel("study");
tabs.onmessage = ({ data }) => {
  if (ticket?.token === data.token && data.epoch > ticket.epoch) trouble(new Problem("stale", ""));
};

const session = () => ({ token: ticket.token, epoch: ticket.epoch });
const trial = new Trial({ session, after: (view) => show(view), lost: (problem) => trouble(problem) });

// Put a screen up and tell a screen reader so.
const screen = (...parts) => {
  main.replaceChildren(...parts.filter(Boolean));
  main.querySelector("h1")?.focus();
  scrollTo(0, 0);
};
const prose = (html) => Object.assign(el("div", { class: "prose" }), { innerHTML: html });
const heading = (words) => el("h1", { tabindex: "-1" }, words);
const button = (words, act, kind = "primary") =>
  el("button", { type: "button", class: kind, onclick: (event) => once(event.currentTarget, act) }, words);
// A button works once at a time, however often it is pressed.
const once = async (pressed, act) => {
  if (pressed.disabled) return;
  pressed.disabled = true;
  try {
    await act();
  } catch (problem) {
    trouble(problem, act);
  } finally {
    pressed.disabled = false;
  }
};

const show = (view) => {
  const inside = ticket !== null && view.screen !== "closed";
  watermark(view.preview);
  foot.hidden = !inside;
  if (view.screen === "trial") {
    if (!trial.root.isConnected) screen(trial.root);
    trial.show(view);
    trial.question.focus({ preventScroll: true });
    scrollTo(0, 0);
    document.getElementById("announce").textContent = trial.where.firstChild.textContent;
  } else if (view.screen === "consent") consent(view);
  else if (view.screen in GATES) gate(view);
  else if (view.screen === "debrief") debrief(view);
  else screen(heading("Closed"), prose(view.html));
};

const consent = (view) => {
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const box = (id, words) => el("label", { class: "box" }, el("input", { type: "checkbox", id }), words);
  const boxes = [box("agree", "I have read this and I agree to take part.")];
  if (view.minimum_age) boxes.push(box("adult", `I am ${view.minimum_age} years old or older.`));
  const mine = nonce();
  const take = async () => {
    const [agreed, adult = true] = boxes.map((one) => one.querySelector("input").checked);
    problem.hidden = agreed && adult;
    if (!agreed || !adult) {
      problem.textContent = agreed ? "To take part, please confirm your age." : "To take part, please tick your consent.";
      boxes[agreed ? 1 : 0].querySelector("input").focus();
      return;
    }
    enter(await persist("enrol", {
      consented: agreed, of_age: adult, consent_sha256: view.consent_sha256, nonce: mine, label,
      device: { viewport_w: innerWidth, viewport_h: innerHeight, dpr: devicePixelRatio, tz_offset: new Date().getTimezoneOffset() },
    }));
  };
  screen(el("div", { class: "sheet" }, heading(view.title), prose(view.html), ...boxes, problem, button("Take part", take)));
};

const gate = (view) => {
  const [title, go] = GATES[view.screen];
  const { block, blocks } = view.progress;
  const next = button(go, async () => show((await persist("proceed", { ...session(), gate: view.gate })).view));
  screen(el("div", { class: "sheet" }, el("p", { class: "where" }, `Round ${block} of ${blocks}`), heading(title),
    prose(view.html), next));
};

const debrief = (view) => {
  memory.finish();
  const { correct, total } = view.score;
  screen(el("div", { class: "sheet" }, heading("Finished, thank you"),
    el("p", { class: "score" }, `You were right in ${correct} of ${total} pairs.`), prose(view.html),
    el("p", {}, "All your answers are saved. You can close this page.")));
};

const enter = (opened) => {
  ticket = { token: opened.token, epoch: opened.epoch };
  memory.keep(ticket.token);
  tabs.postMessage(ticket);
  show(opened.view);
};
const load = async (token) => enter(await persist("load", { token }));
const welcome = async () => {
  ticket = null;
  show((await persist("welcome")).view);
};
const anew = async () => {
  memory.forget();
  await welcome();
};

// Whatever went wrong, in one sentence with one thing to do. again: what to try again.
const trouble = (problem, again) => {
  if (!(problem instanceof Problem)) throw problem;
  trial.turn += 1;
  foot.hidden = true;
  const screens = {
    stale: () => [heading("Continued in another tab"),
      el("p", {}, "You have opened the study again in another tab or window. Please go on there and close this one."),
      button("Go on here instead", () => load(ticket.token), "")],
    unknown: () => [heading("This place is no longer kept"), el("p", {}, problem.message), button("Open the first page", anew)],
    unavailable: () => [heading("No study here"), el("p", {}, problem.message)],
    refused: () => [heading("One moment"), el("p", {}, problem.message),
      button("Go on", () => (ticket ? load(ticket.token) : welcome()))],
  };
  const failed = () => [heading("That did not work"), el("p", { role: "alert" }, problem.message),
    button("Try again", again ?? (() => load(ticket.token)))];
  screen(el("div", { class: "sheet" }, ...(screens[problem.code] ?? failed)()));
};

const watermark = (preview) => {
  const mark = document.getElementById("watermark");
  if (Boolean(preview) === !mark.hidden) return;
  mark.hidden = !preview;
  mark.replaceChildren(el("p", {}, "Preview: answers do not count. ",
    button("Begin as someone new", anew, "quiet")));
};

foot.append(el("button", { type: "button", class: "quiet", onclick: () => dialog.showModal() }, "Stop and withdraw"));
dialog.append(
  el("h2", { id: "withdraw-title" }, "Do you want to withdraw?"),
  el("p", {}, "All your answers will be deleted for good. If you only want to pause, close the page and open it again later."),
  el("div", { class: "choices" },
    el("button", { type: "button", onclick: () => dialog.close() }, "Keep my answers"),
    button("Delete my answers", async () => {
      const { token } = ticket;
      dialog.close();
      await persist("withdraw", { token });
      trial.turn += 1;
      memory.forget();
      ticket = null;
      foot.hidden = true;
      watermark(false);
      screen(el("div", { class: "sheet" }, heading("You have withdrawn"),
        el("p", {}, "Your answers have been deleted. You can close this page.")));
    }, "danger")));

const welcomeBack = (token) => screen(el("div", { class: "sheet" }, heading("Welcome back"),
  el("p", {}, "Someone has begun the study in this browser. If that was you, go on where you stopped."),
  el("div", { class: "choices" }, button("Go on", () => load(token)), button("I am somebody else", anew, ""))));

const start = async () => {
  try {
    if (memory.here) await load(memory.here);
    else if (memory.elsewhere) welcomeBack(memory.elsewhere);
    else await welcome();
  } catch (problem) {
    if (problem.code === "unknown") memory.forget();
    trouble(problem, start);
  }
};
// A page that the browser has kept and shows again (the Back button) asks the server where it stands.
addEventListener("pageshow", (event) => { if (event.persisted) start(); });
start();
