// The participant's side of study/api, and what the browser remembers: only the token, never an answer.

class Problem extends Error {
  // code: as in demo/ui/study/api.py, or "network" where no answer came.
  constructor(code, sentence) {
    super(sentence);
    this.code = code;
  }
}
const OFFLINE = "The server cannot be reached: check your connection, then try again.";
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
    throw new Problem("network", OFFLINE);
  }
  if (!answer.ok) throw new Problem(data.code ?? "network", data.error ?? OFFLINE);
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

const query = new URLSearchParams(location.search);
const label = ["PROLIFIC_PID", "participant_label", "label"].map((name) => query.get(name)).find(Boolean) ?? "";
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
