/** Two personas on one message: pinned, side by side, as dry runs that leave nothing behind. */

import { chances, facts, factors } from "./decision.js";
import { byId, make, tell } from "./dom.js";
import { user } from "./session.js";

/** Offer the serving release's personas; where there are not two, say what is missing. */
export async function offerPersonas(api) {
  const sides = [byId("left"), byId("right")];
  const form = byId("compare-form");
  let personas = [];
  try {
    personas = (await api.get("v1/personas")).data;
    const few = "No release with two personas serves yet: rapport run makes one.";
    tell(byId("compare-trouble"), personas.length < 2 ? few : null);
  } catch (error) {
    tell(byId("compare-trouble"), error.told ?? String(error));
  }
  sides.forEach((side, place) => {
    side.replaceChildren(...personas.map(({ persona_id: name }) => make("option", { value: name }, name)));
    side.selectedIndex = Math.min(place, personas.length - 1);
  });
  form.querySelector("button").disabled = personas.length < 2;
  form.onsubmit = (event) => {
    event.preventDefault();
    compare(api, new Map(personas.map((each) => [each.persona_id, each])));
  };
}

/** Ask both at once; each answers, or says why not, by itself. */
async function compare(api, personas) {
  const button = byId("compare-form").querySelector("button");
  const message = byId("compare-message").value.trim();
  if (!message) return;
  const seed = crypto.getRandomValues(new Uint32Array(1))[0] >>> 1;
  const names = [byId("left").value, byId("right").value];
  const sides = names.map((name) => new Side(personas.get(name)));
  byId("sides").replaceChildren(...sides.map((side) => side.element));
  button.disabled = true;
  await Promise.all(sides.map((side, place) => side.ask(api, request(names[place], message, seed))));
  button.disabled = false;
  byId("spoken").textContent = sides.map((side, place) => `${names[place]}: ${side.text.textContent}`).join(" ");
}

function request(persona, message, seed) {
  return {
    model: `rapport:${persona}`,
    messages: [{ role: "user", content: message }],
    seed, // of both, so that what differs is the persona's doing and the draw's
    "rapport::user": { id: user() },
    "rapport::mode": "arm_first",
    "rapport::dryrun": true,
    "rapport::explain": true,
  };
}

class Side {
  constructor(persona) {
    this.text = make("p", { class: "text" });
    this.body = make("div", { class: "card" });
    this.theirs = make("div", { class: "theirs", "aria-busy": "true" }, this.text);
    this.element = make("article", { class: "side" }, make("h3", {}, persona.persona_id),
      make("p", { class: "aside" }, inShort(persona)), this.theirs, this.body, card(persona));
  }

  async ask(api, body) {
    try {
      const answer = await api.post("v1/chat/completions", body);
      this.text.textContent = answer.choices[0].message.content;
      const block = answer.rapport;
      const more = factors(block);
      const why = more && make("details", { class: "why" }, make("summary", {}, "Both factors"), more);
      this.body.replaceChildren(...[facts(block), chances(block), why].filter(Boolean));
    } catch (error) {
      this.theirs.replaceChildren(make("p", { class: "trouble", role: "alert" }, error.told ?? String(error)));
    } finally {
      this.theirs.removeAttribute("aria-busy");
    }
  }
}

/** How many they are, and words they use more than others; signs that tell nothing are left out. */
function inShort({ users, share, terms = [] }) {
  const people = users ? `${users.toLocaleString("en")} people, ${(share * 100).toFixed(0)} %` : "";
  const words = terms.filter((term) => /^\p{L}[\p{L}' ]*$/u.test(term)).slice(0, 6);
  return [people, words.length ? `write more often: ${words.join(", ")}` : ""].filter(Boolean).join("; ");
}

/** All that the release says of a persona, in its own sentences. */
function card({ sentences = [] }) {
  const told = sentences.map((sentence) => make("li", {}, sentence));
  return make("details", { class: "why", hidden: !told.length }, make("summary", {}, "Who they are"), make("ul", {}, ...told));
}
