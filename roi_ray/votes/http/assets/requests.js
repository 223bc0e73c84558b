// Requests to the server: what may be sent again, when, and what is refused for good.

/** The server says that this request can never succeed. */
export class Refused extends Error {
  constructor(status, kind, message) {
    super(message);
    Object.assign(this, { status, kind });
  }
}

/** The server does not know the session any more. */
export class SessionLost extends Error {}

/** The server refuses whatever this page sends, as it does if it was told another address than it has. */
export class Barred extends Error {}

/** No connection, or a busy server: the same request may succeed later. */
export class TryLater extends Error {
  constructor(reason, milliseconds = 0) {
    super(reason);
    this.milliseconds = milliseconds;
  }
}

const FINAL = new Set([400, 404, 409, 413, 415, 422]);
const BARRED = new Set([403, 405, 421]);

/** Send a request; `body`, if any, as JSON. Resolves to the response, or rejects with an error above. */
export async function send(path, { body, timeout = 20_000, ...options } = {}) {
  const json = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, { ...json, ...options, redirect: "error", credentials: "same-origin", signal: AbortSignal.timeout(timeout) });
  } catch {
    throw new TryLater("lost");
  }
  if (response.ok) return response;
  // Errors of the study are JSON. Others come from something in between, as a proxy that restarts.
  const answer = await response.json().catch(() => null);
  if (answer?.error_kind && response.status === 401) throw new SessionLost(answer.error);
  if (answer?.error_kind && BARRED.has(response.status)) throw new Barred(answer.error);
  if (answer?.error_kind && FINAL.has(response.status)) throw new Refused(response.status, answer.error_kind, answer.error);
  throw new TryLater(answer?.error_kind || response.status < 500 ? "busy" : "lost", readRetryAfter(response.headers.get("Retry-After")));
}

function readRetryAfter(text) {
  const seconds = /^\d+$/.test(text ?? "") ? Number(text) : (Date.parse(text ?? "") - Date.now()) / 1000;
  return Number.isFinite(seconds) ? 1000 * Math.min(Math.max(seconds, 0), 600) : 0;
}

/** Send JSON and read the JSON of the answer. */
export async function post(path, body, options) {
  const response = await send(path, { body, ...options });
  try {
    return await response.json();
  } catch {
    throw new TryLater("lost"); // cut off, or the page of a network that wants a login first
  }
}

/** Milliseconds until the next attempt, from 0: doubled each time up to 15 seconds, with jitter. */
export function backOff(attempt, atLeast = 0) {
  const longest = Math.min(15_000, 1000 * 2 ** attempt);
  return atLeast + longest * (0.5 + Math.random() / 2);
}

/** Wait, but no longer than until the browser is online again. */
export function wait(milliseconds) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      removeEventListener("online", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    addEventListener("online", end);
  });
}

/**
 * Repeat `action(attempt)` until it succeeds or fails for good; tell `connection(reason)` why it
 * waits: "lost", "busy", "broken", or null as soon as a request succeeds.
 */
export async function persist(action, connection) {
  for (let attempt = 0; ; attempt++) {
    try {
      const result = await action(attempt);
      connection(null);
      return result;
    } catch (error) {
      if (!(error instanceof TryLater)) throw error;
      connection(error.message);
      await wait(backOff(attempt, error.milliseconds));
    }
  }
}
