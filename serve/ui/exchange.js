/** One message, its reply while it comes, and the decision's card beside both. */

import { chances, facts, factors, headline, notes } from "./decision.js";
import { byId, make } from "./dom.js";
import { thumbs } from "./thumbs.js";

export class Exchange {
  constructor(said) {
    this.reply = "";
    this.block = null;
    this.said = make("p", { class: "mine" }, said);
    this.label = make("p", { class: "label", hidden: true });
    this.text = make("p", { class: "text" });
    this.under = make("div", { class: "under" });
    this.theirs = make("div", { class: "theirs", "aria-busy": "true" }, this.label, this.text, this.under);
    this.summary = make("summary", {}, "deciding");
    this.body = make("div", { class: "card" });
    this.card = make("details", { class: "decision", open: true }, this.summary, this.body);
    this.element = make(
      "article",
      { class: "exchange", "aria-label": "Message and reply" },
      make("div", { class: "said" }, this.said, this.theirs),
      this.card,
    );
    this.card.hidden = true;
  }

  /** Take in one event of the stream. */
  hear(event) {
    const delta = event.choices?.[0]?.delta ?? {};
    this.reply += delta.content ?? delta.refusal ?? "";
    this.text.textContent = this.reply;
    if (event.rapport) this.decide(event.rapport);
  }

  /** Show the decision as it stands. */
  decide(block) {
    this.block = block;
    this.card.hidden = false;
    this.summary.textContent = headline(block);
    this.body.replaceChildren(facts(block), ...[chances(block)].filter(Boolean));
    const crisis = block.guard === "crisis";
    this.element.classList.toggle("crisis", crisis);
    this.element.classList.toggle("replaced", block.delivered === "guard_replaced" && !crisis);
    this.label.textContent = label(block);
    this.label.hidden = !this.label.textContent;
  }

  /** The reply is whole: say it to screen readers and offer the thumbs. */
  finish(api) {
    this.theirs.removeAttribute("aria-busy");
    byId("spoken").textContent = `Reply: ${this.reply}`;
    const { decision_id: id, guard } = this.block ?? {};
    if (id && guard !== "crisis") this.under.append(thumbs(api, id)); // a crisis is no lesson
  }

  /** Say in words what the explanation adds. */
  explain(explanation) {
    const words = notes(explanation).map((text) => make("p", { class: "note" }, text));
    const why = make("details", { class: "why" }, make("summary", {}, "Why this reply"),
      make("p", {}, explanation.summary), factors(this.block));
    this.body.append(...words, why);
  }

  /** Say what went wrong. */
  fail(sentence) {
    this.theirs.removeAttribute("aria-busy");
    this.under.append(make("p", { class: "trouble", role: "alert" }, sentence));
  }

  /** Put a remark into the card. */
  remark(sentence) {
    this.body.append(make("p", { class: "note" }, sentence));
  }

  fold() {
    this.card.open = false;
  }
}

function label(block) {
  if (block.guard === "crisis") return "Crisis reply: people who can help, no persona, no policy, never learned from";
  if (block.delivered === "guard_replaced") return "An approved reply, in place of one that must not leave";
  if (block.delivered === "fallback") return "An approved reply stood in, or the reply broke off";
  return "";
}
