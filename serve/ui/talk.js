/** The conversation: what was said, whose it is, and its sentiment so far. */

import { sentimentFigure } from "./curve.js";
import { byId } from "./dom.js";
import { Exchange } from "./exchange.js";

export class Talk {
  #api;
  #places = byId("exchanges");
  #running = null;

  constructor(api) {
    this.#api = api;
    this.restart();
  }

  /** Forget what was said here; the log keeps it. */
  restart() {
    this.stop();
    this.messages = [];
    this.points = [];
    this.episode = null;
    this.last = null;
    this.#places.replaceChildren();
    byId("empty").hidden = false;
  }

  /** Leave the running reply where it is. */
  stop() {
    this.#running?.abort();
    this.#running = null;
  }

  get isBusy() {
    return this.#running !== null;
  }

  /** Send a message; gives whether it was answered. */
  async send(text, { user, mode }) {
    const running = (this.#running = new AbortController());
    const exchange = this.#begin(text);
    const asked = { role: "user", content: text };
    const body = request([...this.messages, asked], { user, mode, episode: this.episode });
    let failed = null;
    try {
      for await (const event of this.#api.stream("v1/chat/completions", body, running.signal)) {
        if (running.signal.aborted) break;
        exchange.hear(event);
      }
    } catch (error) {
      failed = error;
    }
    const stopped = running.signal.aborted;
    if (this.last !== exchange) return stopped; // a new conversation began meanwhile
    this.#running = null;
    if (failed && !stopped) {
      exchange.fail(failed.told ?? String(failed));
      if (failed.status === 401) throw failed;
    }
    if (exchange.block) this.#keep(exchange, asked);
    if (!failed) exchange.finish(this.#api);
    if (stopped) exchange.fail("Stopped here; what was said until now counts as the reply.");
    if (exchange.block) {
      this.#plot(exchange);
      await this.#explain(exchange);
      exchange.element.scrollIntoView({ block: "start" });
    }
    return exchange.block !== null;
  }

  #begin(text) {
    byId("empty").hidden = true;
    this.last?.fold();
    const exchange = (this.last = new Exchange(text));
    this.#places.append(exchange.element);
    exchange.element.scrollIntoView({ block: "start" });
    return exchange;
  }

  /** What the next message builds upon, and the points of the curve. */
  #keep(exchange, asked) {
    const { block } = exchange;
    this.messages.push(asked);
    if (exchange.reply) this.messages.push({ role: "assistant", content: exchange.reply });
    this.episode = block.episode_id;
    if (block.sentiment !== null && block.curve !== null) {
      this.points.push({ sentiment: block.sentiment, curve: block.curve });
    }
  }

  #plot(exchange) {
    const figure = sentimentFigure(this.points);
    if (exchange.block.sentiment === null) exchange.remark("Sentiment is not read for this user.");
    if (figure) exchange.body.append(figure);
  }

  async #explain(exchange) {
    if (!exchange.block.decision_id) return;
    try {
      const id = encodeURIComponent(exchange.block.decision_id);
      exchange.explain(await this.#api.get(`v1/decisions/${id}/explanation`));
    } catch (error) {
      exchange.remark(error.told ?? String(error));
    }
  }
}

function request(messages, { user, mode, episode }) {
  return {
    model: "rapport",
    messages,
    stream: true,
    "rapport::user": { id: user },
    "rapport::explain": true,
    ...(mode ? { "rapport::mode": mode } : {}),
    ...(episode ? { "rapport::episode_id": episode } : {}),
  };
}
