// The way through the study. The server says which screen is up; this page shows it and reports what happened.

const main = document.getElementById("study");
const foot = document.getElementById("foot");
const dialog = document.getElementById("withdraw");
const GATES = ["instructions", "rest", "ready"];
let ticket = null;
// A newer tab of the same participant says so to the older ones; the server would refuse their answers anyway.
const tabs = new BroadcastChannel("study");
tabs.onmessage = ({ data }) => {
  if (ticket?.token === data.token && data.epoch > ticket.epoch) trouble(new Problem("stale", t("stale")));
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
  else if (GATES.includes(view.screen)) gate(view);
  else if (view.screen === "form") form(view);
  else if (view.screen === "debrief") debrief(view);
  else ended(view.screen, prose(view.html), view);
};
// The last page of whoever does not go on. service: {code, url}.
const ended = (word, words, service) =>
  screen(el("div", { class: "sheet" }, heading(t(`title.${word}`)), words, ...forService(service)));
const forService = ({ code, url }) => [
  code ? el("p", { class: "code" }, t("your_code", { code })) : null,
  url ? el("p", {}, el("a", { class: "button", href: url, rel: "noreferrer" }, t("to_service"))) : null].filter(Boolean);

const form = (view) => {
  const send = (answers, pressed) => once(pressed, async () =>
    show((await persist("form", { ...session(), place: view.place, answers })).view));
  screen(el("div", { class: "sheet" }, heading(view.form.title),
    view.again ? el("p", { class: "problem", role: "alert" }, t("form_wrong")) : null, questionnaire(view, send)));
};

const consent = (view) => {
  if (notAccepted) return ended("accept_first", el("p", {}, t("accept_first")), {});
  if (innerWidth < view.minimum_width) return ended("screen", el("p", {}, t("screen", { width: view.minimum_width })), {});
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const box = (id, words) => el("label", { class: "box" }, el("input", { type: "checkbox", id }), words);
  const boxes = [box("agree", t("agree"))];
  if (view.minimum_age) boxes.push(box("adult", t("adult", { age: view.minimum_age })));
  const mine = nonce();
  const take = async () => {
    const [agreed, adult = true] = boxes.map((one) => one.querySelector("input").checked);
    problem.hidden = agreed && adult;
    if (!agreed || !adult) {
      problem.textContent = t(agreed ? "tick_age" : "tick_consent");
      boxes[agreed ? 1 : 0].querySelector("input").focus();
      return;
    }
    enter(await persist("enrol", {
      consented: agreed, of_age: adult, consent_sha256: view.consent_sha256, nonce: mine, ...recruited,
      device: { viewport_w: innerWidth, viewport_h: innerHeight, dpr: devicePixelRatio, tz_offset: new Date().getTimezoneOffset() },
    }));
  };
  screen(el("div", { class: "sheet" }, heading(view.title), prose(view.html), ...boxes, problem, button(t("take_part"), take),
    el("p", { class: "later" }, button(t("withdraw_later"), withdrawLater, "quiet"))));
};

const gate = (view) => {
  const next = button(t(`go.${view.screen}`), async () => show((await persist("proceed", { ...session(), gate: view.gate })).view));
  screen(el("div", { class: "sheet" }, el("p", { class: "where" }, t("round", view.progress)), heading(t(`title.${view.screen}`)),
    prose(view.html), next));
};

const debrief = (view) => {
  memory.finish();
  screen(el("div", { class: "sheet" }, heading(t("title.debrief")),
    el("p", { class: "score" }, t("score", view.score)), prose(view.html), ...forService(view),
    el("p", {}, t("withdraw_code", { code: view.withdrawal_code })), el("p", {}, t("all_saved"))));
};

const withdrawLater = () => {
  const field = el("input", { id: "code", autocomplete: "off", spellcheck: "false", dir: "ltr" });
  const problem = el("p", { class: "problem", role: "alert", hidden: true }, t("code_unknown"));
  const go = async () => {
    try {
      await persist("withdraw-by-code", { code: field.value });
    } catch (told) {
      if (told.code !== "unknown") throw told;
      problem.hidden = false;
      return field.focus();
    }
    memory.forget();
    screen(el("div", { class: "sheet" }, heading(t("title.withdrawn")), el("p", {}, t("withdrawn"))));
  };
  screen(el("div", { class: "sheet" }, heading(t("title.withdraw")), el("p", {}, t("withdraw_text")),
    el("label", { for: "code" }, t("code_field")), field, problem,
    el("div", { class: "choices" }, button(t("keep"), welcome, ""), button(t("delete"), go, "danger"))));
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
  const told = () => el("p", {}, problem.message);
  const screens = {
    stale: () => [heading(t("title.stale")), told(), button(t("go_on_here"), () => load(ticket.token), "")],
    unknown: () => [heading(t("title.unknown")), told(), button(t("open_first"), anew)],
    unavailable: () => [heading(t("title.unavailable")), told()],
    refused: () => [heading(t("title.refused")), told(), button(t("go_on"), () => (ticket ? load(ticket.token) : welcome()))],
    consent_changed: () => [heading(t("title.refused")), told(), button(t("go_on"), welcome)],
  };
  if (["closed", "full", "screened", "screen", "repeated"].includes(problem.code)) return ended(problem.code, told(), problem.service);
  const failed = () => [heading(t("title.failed")), el("p", { role: "alert" }, problem.message),
    button(t("again"), again ?? (() => load(ticket.token)))];
  screen(el("div", { class: "sheet" }, ...(screens[problem.code] ?? failed)()));
};

const watermark = (preview) => {
  const mark = document.getElementById("watermark");
  if (Boolean(preview) === !mark.hidden) return;
  mark.hidden = !preview;
  mark.dataset.words = t("preview_mark").split(/[:：]/)[0];
  mark.replaceChildren(el("p", {}, `${t("preview_mark")} `, button(t("preview_anew"), anew, "quiet")));
};

foot.append(el("button", { type: "button", class: "quiet", onclick: () => dialog.showModal() }, t("stop")));
dialog.append(
  el("h2", { id: "withdraw-title" }, t("title.withdraw")),
  el("p", {}, t("withdraw_text")),
  el("div", { class: "choices" },
    el("button", { type: "button", onclick: () => dialog.close() }, t("keep")),
    button(t("delete"), async () => {
      const { token } = ticket;
      dialog.close();
      await persist("withdraw", { token });
      trial.turn += 1;
      memory.forget();
      ticket = null;
      foot.hidden = true;
      watermark(false);
      screen(el("div", { class: "sheet" }, heading(t("title.withdrawn")), el("p", {}, t("withdrawn"))));
    }, "danger")));

const welcomeBack = (token) => screen(el("div", { class: "sheet" }, heading(t("title.back")), el("p", {}, t("back")),
  el("div", { class: "choices" }, button(t("go_on"), () => load(token)), button(t("somebody_else"), anew, ""))));

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
