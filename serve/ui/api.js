/** Asking the API: the key goes in a header only, and what goes wrong comes back in words. */

const NO_KEY = "This key is unknown, expired or revoked. Take the one that rapport serve printed.";

/** An answer that is no success: the server's sentence, and the id its log has the request under. */
export class ApiError extends Error {
  constructor(sentence, { status = 0, requestId = null, retryAfter = null } = {}) {
    super(sentence);
    Object.assign(this, { status, requestId, retryAfter });
  }

  /** All of it as one paragraph for people. */
  get told() {
    const wait = this.retryAfter ? ` Try again in ${this.retryAfter} s.` : "";
    const id = this.requestId ? ` (request ${this.requestId})` : "";
    const told = this.status === 401 ? NO_KEY : `${hint(this.status)}${sentence(this.message)}`;
    return `${told}${wait}${id}`;
  }
}

export class Api {
  #key;

  constructor(key) {
    this.#key = key;
  }

  /** The JSON answer of a GET. */
  async get(path) {
    return (await this.#ask(path, {})).json();
  }

  /** The JSON answer of a POST. */
  async post(path, body) {
    return (await this.#ask(path, posted(body))).json();
  }

  /** The events of a streamed answer, until `[DONE]`. */
  async *stream(path, body, signal) {
    const answer = await this.#ask(path, { ...posted(body), signal });
    const requestId = answer.headers.get("x-request-id");
    for await (const data of events(answer.body)) {
      if (data === "[DONE]") return;
      const event = JSON.parse(data);
      if (event.error) throw new ApiError(event.error.message, { status: 200, requestId });
      yield event;
    }
    throw new ApiError("the reply broke off", { requestId });
  }

  async #ask(path, options) {
    const headers = { authorization: `Bearer ${this.#key}`, ...options.headers };
    let answer;
    try {
      answer = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError("the server does not answer; is it running?");
    }
    if (!answer.ok) throw await failure(answer);
    return answer;
  }
}

const posted = (body) => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

async function failure(answer) {
  const body = await answer.json().catch(() => null);
  const sentence = body?.error?.message ?? `the server answered ${answer.status}`;
  return new ApiError(sentence, {
    status: answer.status,
    requestId: answer.headers.get("x-request-id"),
    retryAfter: answer.headers.get("retry-after"),
  });
}

/** The data of server-sent events, one by one, however the bytes are cut. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) if (part.startsWith("data: ")) yield part.slice(6);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function hint(status) {
  if (status === 403) return "This key may not do that: ";
  if (status === 429) return "Too fast: ";
  if (status >= 500) return "The server could not answer: ";
  return "";
}

const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);
