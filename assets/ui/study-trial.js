// One pair: show it once every picture is decoded, time the choice, ask for confidence, send, and only then go on.

// The second click of a double click belongs to the pair before.
const single = (event) => event.detail < 2;
// By place on the keyboard, whatever its language: F is the button on the left, J the one on the right.
const SIDES = { KeyF: 0, KeyJ: 1 };

class Trial {
  // session: {call parameters}. after: what to do with the answer of the server; lost: with a problem that ends the trial.
  constructor({ session, after, lost }) {
    Object.assign(this, { session, after, lost, turn: 0, clock: null, pointer: "mouse" });
    this.where = el("p", { class: "where" });
    this.question = el("h1", { tabindex: "-1" });
    this.slots = ["left_photo", "left_panel", "right_panel", "right_photo"].map(
      (name) => el("figure", {}, el("div", { class: "slot" }), el("figcaption", {}, t(name))));
    this.legend = el("p", { class: "legend", id: "legend" });
    this.decision = el("p", { class: "decision", hidden: true });
    this.choices = ["F", "J"].map((key) =>
      el("button", { type: "button", "aria-pressed": "false", disabled: true,
        onclick: (event) => single(event) && this.choose(event.currentTarget.dataset.choice, event.detail === 0 ? "key" : this.pointer) },
      el("span", {}), el("kbd", { "aria-hidden": "true" }, key)));
    this.below = el("div", { class: "below" });
    // Left and right are places here, in every direction of writing.
    this.root = el("div", { class: "trial" }, this.where, this.question,
      el("div", { class: "pictures", dir: "ltr" }, this.slots), this.legend, this.decision,
      el("div", { class: "choices", dir: "ltr" }, this.choices), this.below);
    document.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("visibilitychange", () => this.visibility());
    document.addEventListener("pointerdown", (event) => { this.pointer = event.pointerType === "mouse" ? "mouse" : "touch"; },
      { capture: true });
  }

  get shown() {
    return this.root.isConnected && !document.querySelector("dialog[open]");
  }

  // Draw a view of the server; the pair appears when all four pictures can.
  show(view) {
    Object.assign(this, { view, turn: this.turn + 1, clock: null, choice: null, sent: null, rated: false });
    const { progress } = view;
    const second = view.steps > 1 && view.step === 2;
    this.where.replaceChildren(t(progress.practice ? "practice" : "trial", progress),
      el("progress", { max: progress.trials, value: progress.trial - 1, "aria-hidden": "true" }),
      el("span", { class: "left", role: "timer" }));
    this.question.textContent = second ? t("question.second", view) : view.question;
    this.decision.hidden = view.decision === null;
    this.decision.textContent = t(`decision.${view.decision || "hidden"}`);
    this.legend.textContent = view.legend;
    for (const slot of this.slots) slot.firstChild.replaceChildren();
    const order = view.swapped ? ["diff", "same"] : ["same", "diff"];
    this.choices.forEach((button, at) => {
      button.disabled = true;
      button.dataset.choice = order[at];
      button.firstChild.textContent = t(order[at] === "same" ? "yes" : "no");
      button.firstChild.dir = "auto";
      button.setAttribute("aria-pressed", "false");
    });
    this.told(view.confidence ? this.confidence(false) : null);
    this.place(this.turn);
  }

  async place(turn, again = 0) {
    const { view, slots } = this;
    const names = [view.faces[0], view.panels[0], view.panels[1], view.faces[1]];
    const pictures = names.map((name, at) => el("img", {
      src: `study/pictures/${name}${again ? `?again=${again}` : ""}`, alt: slots[at].lastChild.textContent, draggable: "false" }));
    try {
      await Promise.all(pictures.map((picture) => picture.decode()));
    } catch {
      if (turn !== this.turn) return;
      this.report("image_failed", { again });
      if (!again) return void setTimeout(() => turn === this.turn && this.place(turn, 1), 800);
      return this.told(el("p", { class: "problem", role: "alert" }, `${t("picture_failed")} `,
        el("button", { type: "button", onclick: () => { this.told(view.confidence ? this.confidence(false) : null); this.place(turn, again + 1); } },
          t("again"))));
    }
    // The frame in which the pictures are painted; a hidden page has none, so the trial waits until it is looked at.
    requestAnimationFrame(() => {
      if (turn !== this.turn) return;
      pictures.forEach((picture, at) => slots[at].firstChild.replaceChildren(picture));
      this.clock = { onset: performance.now(), hidden: 0, since: null, count: 0 };
      for (const button of this.choices) button.disabled = false;
      this.note(turn);
      if (view.max_seconds) this.countDown(turn);
      this.coming = view.preload.map((name) => Object.assign(new Image(), { src: `study/pictures/${name}` }));
    });
  }

  // The server takes no answer to a pair that it does not know to be on the screen.
  note(turn) {
    const { view, clock } = this;
    this.noted = persist("onset", { ...this.session(), idx: view.idx, step: view.step, perf_ms: clock.onset }).then(
      () => true,
      (problem) => {
        if (turn === this.turn && ["stale", "unknown"].includes(problem.code)) this.lost(problem);
        return false;
      });
    return this.noted;
  }

  countDown(turn) {
    if (turn !== this.turn || this.choice !== null) return;
    const left = this.view.max_seconds - (performance.now() - this.clock.onset) / 1000;
    this.where.querySelector(".left").textContent = left > 0 ? t("seconds_left", { seconds: Math.ceil(left) }) : t("time_up");
    if (left > 0) setTimeout(() => this.countDown(turn), Math.min(250, left * 1000 + 5));
    else this.choose(null, null);
  }

  visibility() {
    const { clock } = this;
    if (!clock || this.choice !== null || !this.root.isConnected) return;
    if (document.hidden) {
      clock.since = performance.now();
      clock.count += 1;
    } else if (clock.since !== null) {
      clock.hidden += performance.now() - clock.since;
      clock.since = null;
    }
    this.report("visibility", { state: document.visibilityState });
  }

  report(kind, payload) {
    call("report", { ...this.session(), kind, payload, idx: this.view.idx }).catch(() => {});
  }

  key(event) {
    if (!this.shown || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
    const side = SIDES[event.code] ?? SIDES[`Key${event.key.toUpperCase()}`];
    if (side !== undefined) this.choose(this.choices[side].dataset.choice, "key");
    else if (/^[0-9]$/.test(event.key)) this.below.querySelector(`[data-key="${event.key}"]:not(:disabled)`)?.click();
  }

  // The first choice counts; its time is taken before anything else happens.
  choose(choice, input) {
    const now = performance.now();
    const { clock, view } = this;
    if (!clock || this.choice !== null || this.sent) return;
    this.choice = choice ?? "none";
    const away = clock.hidden + (clock.since === null ? 0 : now - clock.since);
    this.answer = {
      idx: view.idx, step: view.step, choice, nonce: nonce(), rt_ms: now - clock.onset,
      onset_perf_ms: clock.onset, visible_ms: now - clock.onset - away, hidden_count: clock.count, input,
    };
    for (const button of this.choices) {
      button.disabled = true;
      button.setAttribute("aria-pressed", String(button.dataset.choice === choice));
    }
    this.send();
  }

  confidence(open, sure = () => {}) {
    const levels = Array.from({ length: this.view.confidence }, (_, at) =>
      el("button", { type: "button", disabled: !open, "data-key": String(at + 1), onclick: (event) => single(event) && sure(at + 1) },
        el("kbd", { "aria-hidden": "true" }, String(at + 1)), t(`sure.${at + 1}`)));
    return el("div", { class: "confidence", role: "group", tabindex: "-1", "aria-labelledby": "sure" },
      el("p", { id: "sure", class: open ? "" : "waiting" }, t("sure")),
      el("div", { class: "levels" }, levels,
        el("button", { type: "button", class: "quiet", disabled: !open, "data-key": "0", onclick: () => sure(null) }, t("skip"))));
  }

  // The choice is sent at once, and how sure it was afterwards: a page that closes in between loses that alone.
  send() {
    if (this.sent) return;
    const { turn, view } = this;
    this.sent = { ...this.session(), ...this.answer, submit_perf_ms: performance.now() };
    const store = async () => {
      if (!(await this.noted) && !(await this.note(turn))) throw new Problem("network", t("network"));
      return persist("answer", this.sent);
    };
    if (this.choice === "none" || !view.confidence) return this.deliver(turn, store, (saved) => this.answered(saved));
    let stored = store();
    stored.catch((problem) => turn === this.turn && !passing(problem) && this.lost(problem));
    const rate = async (value) => {
      const { idx, step } = view;
      const saved = await stored.catch((problem) => {
        if (!passing(problem)) throw problem;
        return (stored = store());
      });
      await persist("confidence", { ...this.session(), idx, step, value });
      return saved;
    };
    this.told(this.confidence(true, (value) => {
      if (this.rated) return;
      this.rated = true;
      for (const button of this.below.querySelectorAll("button")) button.disabled = true;
      this.deliver(turn, () => rate(value), (saved) => this.answered(saved));
    }));
    this.below.firstChild.focus();
  }

  answered(saved) {
    if (!saved.feedback) return this.after(saved.view);
    this.told(this.feedback(saved));
    this.below.querySelector("button").focus();
  }

  // Do what must reach the server, then go on; where it does not, the reader is told and may try again.
  async deliver(turn, act, then) {
    const slow = setTimeout(() => turn === this.turn && this.told(el("p", { class: "hint", role: "status" }, t("saving"))), 1500);
    try {
      const saved = await act();
      if (turn === this.turn) then(saved);
    } catch (problem) {
      if (turn !== this.turn) return;
      if (!passing(problem)) return this.lost(problem);
      this.told(el("p", { class: "problem", role: "alert" }, `${t("not_saved_yet")} `,
        el("button", { type: "button", onclick: () => { this.told(null); this.deliver(turn, act, then); } }, t("again"))));
    } finally {
      clearTimeout(slow);
    }
  }

  feedback({ feedback, view }) {
    return el("div", { class: `feedback ${feedback.correct ? "right" : "wrong"}`, role: "status" },
      el("p", {}, el("strong", {}, t(feedback.correct ? "right" : "wrong")), ` ${t(feedback.same ? "truth.same" : "truth.diff")}`),
      el("button", { type: "button", class: "primary", onclick: (event) => single(event) && this.after(view) }, t("next")));
  }

  told(node) {
    this.below.replaceChildren(...(node ? [node] : []));
  }
}
