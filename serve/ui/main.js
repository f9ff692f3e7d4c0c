/** The page: signing in, its two views, and whose conversation it is. */

import { Api } from "./api.js";
import { offerPersonas } from "./compare.js";
import { byId, make, tell } from "./dom.js";
import { dropKey, keepKey, keepUser, takeKey, user } from "./session.js";
import { Talk } from "./talk.js";

const STARTERS = [
  "I feel low about work, what should I do?",
  "I finally told my sister the truth, and it went well.",
  "Nobody answers my messages any more.",
];
let api = null;
let talk = null;

/** Let a key in, or say why not. */
async function signIn(key) {
  const candidate = new Api(key);
  try {
    await candidate.get("v1/models");
  } catch (error) {
    signOut(error.told ?? String(error), { forget: error.status === 401 });
    return;
  }
  keepKey(key);
  api = candidate;
  talk = new Talk(api);
  byId("key").value = "";
  show({ signedIn: true });
  byId("user").value = user();
  await Promise.all([offerPersonas(api), standing(), serving()]);
}

function signOut(sentence = null, { forget = true } = {}) {
  talk?.restart();
  api = talk = null;
  if (forget) dropKey();
  byId("sides").replaceChildren();
  show({ signedIn: false });
  tell(byId("sign-in-trouble"), sentence);
  byId("key").focus();
}

function show({ signedIn }) {
  byId("sign-in").hidden = signedIn;
  document.querySelector(".signed-in").hidden = !signedIn;
  if (signedIn) select("talk");
  else for (const id of ["talk", "compare"]) byId(id).hidden = true;
}

/** Say which release answers. */
async function serving() {
  const ready = await (await fetch("readyz")).json().catch(() => ({}));
  const release = ready.release_id ? `release ${ready.release_id}` : "no release yet: rapport run makes one";
  byId("serving").textContent = ready.refused ? `${release}; refused: ${ready.refused.reason}` : release;
}

/** Say what holds for this user under the tenant's policy. */
async function standing() {
  const place = byId("standing");
  if (user().includes("/")) return tell(place, "What holds for a name with a slash cannot be looked up.");
  try {
    const { effective } = await api.get(`v1/users/${encodeURIComponent(user())}/state`);
    const { age_band: band, purposes } = effective;
    tell(place, effective.protected
      ? `${band}: protected. No memory, no adapter, nothing left to chance, nothing learned.`
      : `${band}, agreed to ${purposes.join(", ").replaceAll("_", " ")}`);
  } catch (error) {
    tell(place, error.told ?? String(error));
  }
}

function select(name) {
  for (const tab of document.querySelectorAll('[role="tab"]')) {
    const chosen = tab.getAttribute("aria-controls") === name;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    byId(tab.getAttribute("aria-controls")).hidden = !chosen;
  }
  byId(name === "talk" ? "message" : "compare-message").focus({ preventScroll: true });
}

async function send() {
  const box = byId("message");
  const text = box.value.trim();
  if (!text || talk.isBusy) return;
  busy(true);
  box.value = "";
  try {
    const answered = await talk.send(text, { user: user(), mode: byId("mode").value });
    if (!answered && !box.value) box.value = text;
  } catch (error) {
    signOut(error.told);
  } finally {
    busy(false);
    box.focus({ preventScroll: true });
  }
}

function busy(yes) {
  byId("go").hidden = yes;
  byId("stop").hidden = !yes;
}

function enterSends(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  event.target.form.requestSubmit();
}

function on(id, kind, call) {
  byId(id).addEventListener(kind, (event) => {
    if (kind === "submit") event.preventDefault();
    call(event);
  });
}

on("sign-in", "submit", () => signIn(byId("key").value.trim()));
on("sign-out", "click", () => signOut());
on("send", "submit", send);
on("who", "submit", () => byId("user").blur());
on("stop", "click", () => talk.stop());
on("new", "click", () => {
  talk.restart();
  byId("message").focus();
});
on("user", "change", () => {
  byId("user").value = keepUser(byId("user").value.trim() || user());
  talk.restart();
  standing();
});
for (const id of ["message", "compare-message"]) on(id, "keydown", enterSends);
for (const tab of document.querySelectorAll('[role="tab"]')) {
  tab.addEventListener("click", () => select(tab.getAttribute("aria-controls")));
  tab.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const other = document.querySelector('[role="tab"][aria-selected="false"]');
    select(other.getAttribute("aria-controls"));
    other.focus();
  });
}
byId("starters").append(...STARTERS.map((text) => make("button", { type: "button", click: () => {
  byId("message").value = text;
  byId("message").focus();
} }, text)));
byId("compare-message").value = STARTERS[0];
window.addEventListener("hashchange", () => {
  if (location.hash.startsWith("#key=")) signIn(takeKey());
});

const key = takeKey();
if (key) await signIn(key);
else show({ signedIn: false });
