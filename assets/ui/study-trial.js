// One pair: show it once every picture is decoded, time the choice, ask for confidence, send, and only then go on.

const SURE = ["guessing", "unsure", "fairly sure", "certain"];
// The second click of a double click belongs to the pair before.
const single = (event) => event.detail < 2;
const KEYS = { f: "same", y: "same", j: "diff", n: "diff" };

class Trial {
  // session: {call parameters}. after: what to do with the answer of the server; lost: with a problem that ends the trial.
  constructor({ session, after, lost }) {
    Object.assign(this, { session, after, lost, turn: 0, clock: null, pointer: "mouse" });
    this.where = el("p", { class: "where" });
    this.question = el("h1", { tabindex: "-1" });
    this.slots = ["Left photo", "Explanation, left", "Explanation, right", "Right photo"].map(
      (name) => el("figure", {}, el("div", { class: "slot" }), el("figcaption", {}, name)));
    this.legend = el("p", { class: "legend", id: "legend" });
    this.choices = [["same", "Yes, same person", "F"], ["diff", "No, different people", "J"]].map(([choice, words, key]) =>
      el("button", { type: "button", "data-choice": choice, "aria-pressed": "false", disabled: true,
        onclick: (event) => single(event) && this.choose(choice, event.detail === 0 ? "key" : this.pointer) },
      words, el("kbd", { "aria-hidden": "true" }, key)));
    this.below = el("div", { class: "below" });
    this.root = el("div", { class: "trial" }, this.where, this.question,
      el("div", { class: "pictures" }, this.slots), this.legend,
      el("div", { class: "choices" }, this.choices), this.below);
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
    Object.assign(this, { view, turn: this.turn + 1, clock: null, choice: null, sent: null });
    const { progress } = view;
    const second = view.steps > 1 && view.step === 2;
    this.where.replaceChildren(
      `${progress.practice ? "Practice " : ""}${progress.trial}/${progress.trials}, round ${progress.block} of ${progress.blocks}`,
      el("progress", { max: progress.trials, value: progress.trial - 1, "aria-hidden": "true" }),
      el("span", { class: "left", role: "timer" }));
    this.question.textContent = second ? `Now with the explanation: ${view.question}` : view.question;
    this.legend.textContent = view.legend;
    for (const slot of this.slots) slot.firstChild.replaceChildren();
    for (const button of this.choices) {
      button.disabled = true;
      button.setAttribute("aria-pressed", "false");
    }
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
      return this.told(el("p", { class: "problem", role: "alert" }, "A picture could not be loaded: check your connection. ",
        el("button", { type: "button", onclick: () => { this.told(view.confidence ? this.confidence(false) : null); this.place(turn, again + 1); } },
          "Try again")));
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
    this.where.querySelector(".left").textContent = left > 0 ? `${Math.ceil(left)} s left` : "Time is up";
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
    const choice = KEYS[event.key.toLowerCase()];
    if (choice) this.choose(choice, "key");
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
      idx: view.idx, step: view.step, choice, nonce: nonce(), confidence: null, rt_ms: now - clock.onset,
      onset_perf_ms: clock.onset, visible_ms: now - clock.onset - away, hidden_count: clock.count, input,
    };
    for (const button of this.choices) {
      button.disabled = true;
      button.setAttribute("aria-pressed", String(button.dataset.choice === choice));
    }
    if (choice !== null && view.confidence) {
      this.told(this.confidence(true));
      this.below.firstChild.focus();
    } else this.send(null);
  }

  confidence(open) {
    const levels = SURE.slice(0, this.view.confidence).map((words, at) =>
      el("button", { type: "button", disabled: !open, "data-key": String(at + 1), onclick: (event) => single(event) && this.send(at + 1) },
        el("kbd", { "aria-hidden": "true" }, String(at + 1)), words));
    return el("div", { class: "confidence", role: "group", tabindex: "-1", "aria-labelledby": "sure" },
      el("p", { id: "sure", class: open ? "" : "waiting" }, "How sure are you?"),
      el("div", { class: "levels" }, levels,
        el("button", { type: "button", class: "quiet", disabled: !open, "data-key": "0", onclick: () => this.send(null) }, "Skip")));
  }

  async send(confidence) {
    if (this.sent) return;
    this.sent = { ...this.session(), ...this.answer, confidence, submit_perf_ms: performance.now() };
    for (const button of this.below.querySelectorAll("button")) button.disabled = true;
    await this.deliver(this.turn);
  }

  async deliver(turn) {
    const slow = setTimeout(() => turn === this.turn && this.told(el("p", { class: "hint", role: "status" }, "Saving …")), 1500);
    try {
      if (!(await this.noted) && !(await this.note(turn))) throw new Problem("network", OFFLINE);
      const saved = await persist("answer", this.sent);
      if (turn !== this.turn) return;
      if (!saved.feedback) return this.after(saved.view);
      this.told(this.feedback(saved));
      this.below.querySelector("button").focus();
    } catch (problem) {
      if (turn !== this.turn) return;
      if (!passing(problem)) return this.lost(problem);
      this.told(el("p", { class: "problem", role: "alert" }, "Your answer is not saved yet: check your connection. ",
        el("button", { type: "button", onclick: () => { this.told(null); this.deliver(turn); } }, "Try again")));
    } finally {
      clearTimeout(slow);
    }
  }

  feedback({ feedback, view }) {
    const truth = feedback.same ? "They are the same person." : "They are two different people.";
    return el("div", { class: `feedback ${feedback.correct ? "right" : "wrong"}`, role: "status" },
      el("p", {}, el("strong", {}, feedback.correct ? "✓ Right. " : "✗ Not right. "), truth),
      el("button", { type: "button", class: "primary", onclick: (event) => single(event) && this.after(view) }, "Next"));
  }

  told(node) {
    this.below.replaceChildren(...(node ? [node] : []));
  }
}
