/** The card beside a reply: who was answered, what was drawn from what, and why. */

import { make } from "./dom.js";

const percent = (share) => `${(share * 100).toFixed(1)} %`;
const readable = (name) => (name ?? "no kind").replaceAll("_", " ");

/** What the card's one line says when it is folded. */
export function headline(block) {
  const persona = block.persona_id ?? "no persona";
  const taken = drawn(block);
  if (block.guard === "crisis") return "crisis path";
  if (!taken?.arm) return `${persona} · ${block.mode}`;
  const verb = block.mode === "observe" ? "would draw " : "";
  return `${persona} · ${verb}${readable(taken.arm)} ${percent(taken.probability)}`;
}

/** The facts of a decision as short labels, what is out of the ordinary among them. */
export function facts(block) {
  const odd = [
    block.guard && block.guard !== "crisis" ? `guard: ${block.guard}` : null,
    block.guard === "crisis" ? "crisis" : null,
    ...(block.degraded ?? "").split(", ").filter(Boolean).map((code) => `degraded: ${code}`),
  ];
  const several = (block.candidates ?? []).length > 1;
  return make(
    "ul",
    { class: "facts", "aria-label": "Facts of the decision" },
    fact("persona", block.persona_id ?? "none"),
    fact("mode", block.mode),
    fact("delivered", block.delivered),
    several && fact("draw", block.explored ? "explored" : "likeliest"),
    ...odd.filter(Boolean).map((text) => make("li", { class: "odd" }, text)),
  );
}

/** Every candidate with its probability as a bar; nothing where nothing was drawn. */
export function chances(block) {
  const candidates = block.candidates ?? [];
  if (candidates.length < 2) return null;
  const most = Math.max(...candidates.map((each) => each.probability));
  return make(
    "table",
    { class: "chances" },
    make("caption", {}, `${candidates.length} ${block.mode === "rerank" ? "written replies" : "kinds of reply"}, probability of each`),
    make("thead", { class: "hidden" }, make("tr", {}, ...["Kind of reply", "Bar", "Probability"].map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...candidates.map((each) => chance(each, most))),
  );
}

/** Both factors of each candidate, and a ranked text where there is one. */
export function factors(block) {
  const scored = (block.candidates ?? []).filter((each) => each.nlp_score !== null);
  if (scored.length < 2) return null;
  const texts = block.mode === "rerank";
  const columns = ["Kind of reply", "fit", "reward", ...(texts ? ["text"] : [])];
  return make(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Both factors of each candidate" },
    make(
      "table",
      {},
      make("caption", {}, "Fit to the context, and expected reward as (1 + q) / 2; both in 0 to 1"),
      make("thead", {}, make("tr", {}, ...columns.map((name, place) =>
        make("th", { scope: "col", class: place === 1 || place === 2 ? "number" : null }, name)))),
      make("tbody", {}, ...scored.map((each) => make(
        "tr",
        {},
        make("th", { scope: "row" }, readable(each.arm)),
        make("td", { class: "number" }, each.nlp_score.toFixed(3)),
        make("td", { class: "number" }, each.rec_score.toFixed(3)),
        texts && make("td", {}, each.text ?? ""),
      ))),
    ),
  );
}

/** What an explanation says in words beyond the bars: what became of the reply, and why. */
export function notes(explanation) {
  const { delivered, degraded, not_drawn: notDrawn, chance: taken, control } = explanation;
  return [
    notDrawn,
    !notDrawn && !control && delivered.code !== "full" ? `Delivered as ${delivered.code}: ${delivered.meaning}.` : null,
    ...degraded.map((reason) => `Degraded, ${reason.code}: ${reason.meaning}.`),
    taken?.why_not ? `Nothing was left to chance: ${taken.why_not}.` : null,
  ].filter(Boolean);
}

export const drawn = (block) => (block.candidates ?? []).find((each) => each.drawn);

const fact = (name, value) => make("li", {}, make("span", {}, name), ` ${value}`);

function chance(each, most) {
  const bar = make("span", { class: "bar" });
  bar.style.width = `${(100 * each.probability) / most}%`;
  const name = each.guard ? `${readable(each.arm)} (kept out: ${each.guard})` : readable(each.arm);
  return make(
    "tr",
    { class: each.drawn ? "drawn" : null, "aria-current": each.drawn ? "true" : null },
    make("th", { scope: "row" }, name, each.drawn && make("span", { class: "tag" }, "drawn")),
    make("td", { class: "bars", "aria-hidden": "true" }, bar),
    make("td", { class: "number" }, make("data", { value: each.probability }, percent(each.probability))),
  );
}
