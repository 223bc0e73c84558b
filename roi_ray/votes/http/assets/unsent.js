// Votes that the server has not acknowledged yet. They are in localStorage before they are sent, and
// stay there until the server has them: a closed page, a crash or a lost connection loses none.
import { backOff, post, Refused, TryLater, wait } from "./requests.js";

const PREFIX = "roi-ray.vote.";

/** A random UUID. `crypto.randomUUID` exists only with https and on localhost. */
export function makeId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Each vote has an item of its own, so that two tabs never overwrite each other's. */
function readStored() {
  const entries = [];
  try {
    for (let index = 0; index < localStorage.length; index++) {
      const key = localStorage.key(index);
      if (!key.startsWith(PREFIX)) continue;
      try {
        const entry = JSON.parse(localStorage.getItem(key));
        if (typeof entry?.vote?.id === "string") entries.push(entry);
      } catch {
        localStorage.removeItem(key); // not written by this page
      }
    }
  } catch {
    // The browser forbids storage; votes are kept in memory only.
  }
  return entries;
}

export class Unsent {
  #memory = new Map();
  #sending = null;
  #handlers;

  /** Handlers: recorded(vote, answer), refused(vote, error), connection(reason), elsewhere(vote) of another tab. */
  constructor(handlers) {
    this.#handlers = handlers;
    addEventListener("storage", ({ key, newValue }) => {
      if (key?.startsWith(PREFIX) && newValue) handlers.elsewhere(JSON.parse(newValue).vote);
    });
  }

  /** All votes that wait, oldest first, those of earlier visits and of other tabs included. */
  list() {
    const entries = new Map(readStored().map((entry) => [entry.vote.id, entry]));
    for (const [id, entry] of this.#memory) entries.set(id, entry);
    return [...entries.values()].sort((one, other) => one.at - other.at).map((entry) => entry.vote);
  }

  get size() {
    return this.list().length;
  }

  has(ask) {
    return this.list().some((vote) => vote.ask === ask);
  }

  add(vote) {
    const entry = { vote, at: Date.now() };
    this.#memory.set(vote.id, entry);
    try {
      localStorage.setItem(PREFIX + vote.id, JSON.stringify(entry));
    } catch {
      // Full or forbidden: memory has it.
    }
  }

  #remove(id) {
    this.#memory.delete(id);
    try {
      localStorage.removeItem(PREFIX + id);
    } catch {
      // Nothing was stored.
    }
  }

  /** Send all votes; resolves when none waits, rejects when the session is lost. */
  flush() {
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
    });
    return this.#sending;
  }

  async #sendAll() {
    for (let attempt = 0; this.size; attempt++) {
      let delay = null;
      for (const vote of this.list()) {
        try {
          await this.#send(vote);
          attempt = 0;
        } catch (error) {
          if (!(error instanceof TryLater)) throw error;
          delay = Math.max(delay ?? 0, error.milliseconds);
          this.#handlers.connection(error.message);
        }
      }
      if (delay !== null) await wait(backOff(attempt, delay));
    }
  }

  async #send(vote) {
    let answer;
    try {
      answer = await post("/api/votes", vote, { keepalive: true });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#remove(vote.id);
      this.#handlers.refused(vote, error);
      return;
    }
    if (answer?.recorded !== true) throw new TryLater("lost"); // not an answer of the study
    this.#remove(vote.id);
    this.#handlers.connection(null);
    this.#handlers.recorded(vote, answer);
  }
}
