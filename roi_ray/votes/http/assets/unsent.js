// Votes that the server has not acknowledged yet. They are in localStorage before they are sent, and
// stay there until the server has them: a closed page, a crash or a lost connection loses none. Votes
// of another rater, who used this browser before, and those that the server refuses stay there as well.
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

/** Parse an item of the storage; its key has the id of the vote. Null if this page did not write it. */
function parse(key, text) {
  try {
    const { vote, at, rater, isRefused } = JSON.parse(text);
    if (typeof vote.ask !== "string") return null;
    return { vote: { ...vote, id: key.slice(PREFIX.length) }, at: Number(at) || 0, rater: rater ?? null, isRefused: isRefused === true };
  } catch {
    return null;
  }
}

/** Each vote has an item of its own, so that two tabs never overwrite each other's. */
function readStored() {
  try {
    const keys = Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));
    return keys.map((key) => parse(key, localStorage.getItem(key))).filter((entry) => entry !== null);
  } catch {
    return []; // The browser forbids storage; votes are kept in memory only.
  }
}

function isStored(id) {
  try {
    return localStorage.getItem(PREFIX + id) !== null;
  } catch {
    return false;
  }
}

export class Unsent {
  #memory = new Map();
  #settled = new Set(); // ids that the server has, also if their items cannot be removed
  #sending = null;
  #handlers;
  rater = null; // whose votes are sent: a short name of the session, or null if the server gives none

  /** Handlers: recorded(vote, answer), refused(vote, error), connection(reason), elsewhere(vote) of another tab. */
  constructor(handlers) {
    this.#handlers = handlers;
    addEventListener("storage", ({ key, newValue }) => {
      const entry = key?.startsWith(PREFIX) && newValue ? parse(key, newValue) : null;
      if (entry) handlers.elsewhere(entry.vote);
    });
    addEventListener("beforeunload", (event) => {
      if (this.isAtRisk) event.preventDefault();
    });
  }

  #readAll() {
    const entries = new Map(readStored().map((entry) => [entry.vote.id, entry]));
    for (const [id, entry] of this.#memory) entries.set(id, entry);
    return [...entries.values()].filter(({ vote }) => !this.#settled.has(vote.id));
  }

  #canSend({ rater, isRefused }) {
    return !isRefused && (rater === null || rater === this.rater);
  }

  /** All votes that can be sent, oldest first, those of earlier visits and of other tabs included. */
  list() {
    const entries = this.#readAll().filter((entry) => this.#canSend(entry));
    return entries.sort((one, other) => one.at - other.at).map((entry) => entry.vote);
  }

  /** Number of votes that can be sent. */
  get size() {
    return this.list().length;
  }

  /** Number of votes that are kept but not sent: the server refused them, or they are another rater's. */
  get numberAside() {
    return this.#readAll().length - this.size;
  }

  /** Whether votes are lost if the page is closed now. */
  get isAtRisk() {
    return [...this.#memory.keys()].some((id) => !isStored(id));
  }

  has(ask) {
    return this.list().some((vote) => vote.ask === ask);
  }

  /** Keep a vote of a rater; returns whether it can be sent. */
  add(vote, rater) {
    const entry = { vote, at: Date.now(), rater, isRefused: false };
    this.#keep(entry);
    return this.#canSend(entry);
  }

  #keep(entry) {
    this.#memory.set(entry.vote.id, entry);
    try {
      localStorage.setItem(PREFIX + entry.vote.id, JSON.stringify(entry));
    } catch {
      // Full or forbidden: memory has it.
    }
  }

  #remove(id) {
    this.#memory.delete(id);
    this.#settled.add(id);
    try {
      localStorage.removeItem(PREFIX + id);
    } catch {
      // Nothing was stored, or it cannot be changed.
    }
  }

  /** The server does not take this vote: keep it, but do not send it again. */
  #setAside(id) {
    const entry = this.#readAll().find(({ vote }) => vote.id === id);
    if (entry) this.#keep({ ...entry, isRefused: true });
  }

  /** Send all votes; resolves when none waits, rejects if the session is lost or the page is barred. */
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
      if (error.status === 409) this.#remove(vote.id); // the server has an answer to the question
      else this.#setAside(vote.id);
      this.#handlers.refused(vote, error);
      return;
    }
    if (answer?.recorded !== true) throw new TryLater("lost"); // not an answer of the study
    this.#remove(vote.id);
    this.#handlers.connection(null);
    this.#handlers.recorded(vote, answer);
  }
}
