/** Thumbs under a reply: feedback on its decision, and what it would be worth as a reward. */

import { draw, make } from "./dom.js";
import { randomName } from "./session.js";

const HAND = "M7 10v9H3v-9zm2 0 4-8c1.7 0 2.6 1.2 2.3 2.8L14.7 9H20c1.3 0 2.2 1.2 1.9 2.4l-1.6 6.2c-.2.9-1 1.4-1.9 1.4H9z";

/** Two buttons; a change of mind counts as the later one. */
export function thumbs(api, decisionId) {
  const told = make("span", { class: "told", role: "status" });
  const buttons = [true, false].map((good) => make(
    "button",
    {
      type: "button",
      class: good ? "thumb" : "thumb down",
      "aria-pressed": "false",
      "aria-label": good ? "This reply helped" : "This reply did not help",
      title: good ? "It helped" : "It did not help",
      click: () => give(good),
    },
    draw("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, draw("path", { d: HAND })),
  ));

  async function give(good) {
    for (const button of buttons) button.disabled = true;
    try {
      const taken = await api.post("v1/feedback", {
        decision_id: decisionId,
        metric_name: "thumbs",
        value: good,
        feedback_id: `page-${randomName()}`,
      });
      buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(good === (place === 0))));
      told.classList.remove("trouble");
      told.textContent = `Counted; reward preview ${signed(taken.reward)}, of −1 to +1`;
    } catch (error) {
      told.classList.add("trouble");
      told.textContent = error.told ?? String(error);
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  }

  return make("div", { class: "thumbs" }, ...buttons, told);
}

function signed(reward) {
  if (reward === null) return "none";
  return `${reward < 0 ? "−" : "+"}${Math.abs(reward).toFixed(2)}`;
}
