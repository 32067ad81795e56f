// The participant's side of study/api, and what the browser remembers: only the token, never an answer.

// Everything that is read here comes with the page, in the study's language. t("score", { correct: 3 }) fills braces in.
const WORDS = JSON.parse(document.getElementById("words").textContent);
const t = (key, values = {}) => (WORDS[key] ?? "").replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

class Problem extends Error {
  // code: as in demo/ui/study/api.py, or "network" where no answer came. service: {code, url} for a recruiting service.
  constructor(code, sentence, service = {}) {
    super(sentence);
    Object.assign(this, { code, service });
  }
}
const PATIENCE = 20000;

const call = async (action, body) => {
  let answer, data;
  try {
    answer = await fetch(`study/api/${action}`, {
      method: body ? "POST" : "GET", cache: "no-store", signal: AbortSignal.timeout(PATIENCE),
      headers: { "Content-Type": "application/json" }, body: body && JSON.stringify(body),
    });
    data = await answer.json();
  } catch {
    throw new Problem("network", t("network"));
  }
  if (!answer.ok) throw new Problem(data.code ?? "network", t(data.code ?? "network") || data.error, { code: data.for_service, url: data.url });
  return data;
};
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const passing = (problem) => ["network", "not_saved"].includes(problem.code);
// The same call again after a moment where nobody knows whether it arrived; the server takes it once.
const persist = async (action, body) => {
  for (const pause of [600, 2000]) {
    try {
      return await call(action, body);
    } catch (problem) {
      if (!passing(problem)) throw problem;
      await wait(pause);
    }
  }
  return call(action, body);
};
// Random, for answers and enrolment; crypto.randomUUID is missing on pages without https.
const nonce = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

// Who sent this person: Prolific and MTurk call their ids so; others may use participant_label, label or id.
const query = new URLSearchParams(location.search);
const SERVICES = [["prolific", "PROLIFIC_PID", "STUDY_ID", "SESSION_ID"], ["mturk", "workerId", "hitId", "assignmentId"],
  ["other", "participant_label"], ["other", "label"], ["other", "id"]];
const recruited = (() => {
  const [service, person, study, session] = SERVICES.find(([, name]) => query.get(name)) ?? ["other"];
  const value = (name) => (name ? query.get(name) ?? "" : "").slice(0, 200);
  return { service, label: value(person), study_ref: value(study), session_ref: value(session) };
})();
const { label } = recruited;
const notAccepted = query.get("assignmentId") === "ASSIGNMENT_ID_NOT_AVAILABLE";
// This tab goes on by itself after a refresh (sessionStorage); another one asks first (localStorage), since the computer
// may be shared. Where the browser keeps nothing, the address does.
const memory = {
  key: `study${label && `:${label}`}`,
  read(place) {
    try {
      return window[place].getItem(this.key);
    } catch {
      return null;
    }
  },
  get here() {
    return this.read("sessionStorage") ?? (/^#[0-9a-f]{32}$/.test(location.hash) ? location.hash.slice(1) : null);
  },
  get elsewhere() {
    return this.read("localStorage");
  },
  keep(token) {
    try {
      sessionStorage.setItem(this.key, token);
      localStorage.setItem(this.key, token);
    } catch {
      history.replaceState(null, "", `#${token}`);
    }
  },
  // After the last answer only this tab may come back, to the score.
  finish() {
    try {
      localStorage.removeItem(this.key);
    } catch { /* nothing was kept */ }
  },
  forget() {
    this.finish();
    try {
      sessionStorage.removeItem(this.key);
    } catch { /* nothing was kept */ }
    if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  },
};
