// The questions of this rater, with their images fetched and decoded ahead.
import { backOff, persist, post, Refused, send, TryLater, wait } from "./requests.js";

const ROLES = ["original", "1", "2"];
const DECODING_ATTEMPTS = 3;
const MAX_UNSENT = 5;
const PATIENCE = 3000; // milliseconds that a vote may take before more questions are asked for
// As the file has them: no conversion of colours.
const AS_STORED = { colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation: "none" };

async function decode(blob) {
  try {
    return await createImageBitmap(blob, AS_STORED);
  } catch (error) {
    // Browsers that know no options, or other ones.
    if (error instanceof TypeError) return createImageBitmap(blob);
    throw error;
  }
}

async function loadImage(path, ask, attempt) {
  const response = await send(path, { timeout: 180_000, cache: attempt ? "reload" : "default" });
  let bitmap = null;
  try {
    bitmap = await decode(await response.blob());
  } catch {
    if (attempt + 1 < DECODING_ATTEMPTS) throw new TryLater("lost");
    throw new Refused(0, "ImageReadError", "an image cannot be decoded");
  }
  if (bitmap.width === ask.width && bitmap.height === ask.height) return bitmap;
  bitmap.close();
  throw new Refused(0, "ImageReadError", "an image has another size than the question");
}

async function loadImages(ask, connection) {
  const results = await Promise.allSettled(ROLES.map((role) => persist((attempt) => loadImage(ask.images[role], ask, attempt), connection)));
  const failed = results.find((result) => result.status === "rejected");
  const images = Object.fromEntries(results.map((result, index) => [ROLES[index], result.value]));
  if (!failed) return images;
  release(images);
  throw failed.reason;
}

/** Free the memory of decoded images. */
export function release(images) {
  for (const image of Object.values(images)) image?.close();
}

export class Questions {
  #queue = [];
  #skipped = new Set(); // shown, or without images that can be shown
  #answered = new Set(); // the server may list them in an answer that comes later
  #chain = Promise.resolve();
  #unsent;
  #connection;
  answered = 0;
  goal = 0;
  done = false;

  constructor(unsent, connection) {
    this.#unsent = unsent;
    this.#connection = connection;
  }

  /** Ask the server for the open questions and load the images of those that are new. */
  refill() {
    const turn = this.#chain.then(() => this.#refill());
    this.#chain = turn.catch(() => {});
    return turn;
  }

  async #refill() {
    const state = await persist(async () => {
      const answer = await post("/api/questions", {});
      if (!Array.isArray(answer?.asks)) throw new TryLater("lost");
      return answer;
    }, this.#connection);
    Object.assign(this, { answered: state.answered, goal: state.goal, done: state.done });
    for (const ask of state.asks) {
      if (this.#skipped.has(ask.id) || this.#isAnswered(ask.id)) continue;
      if (this.#queue.some((question) => question.ask.id === ask.id)) continue;
      const images = loadImages(ask, this.#connection);
      images.catch(() => {}); // `next` reports it
      this.#queue.push({ ask, images });
    }
  }

  /** Whether the questions that are loaded begin with one to practise. */
  get hasPractice() {
    return this.#queue[0]?.ask.training === true;
  }

  markAnswered(id) {
    this.#answered.add(id);
  }

  #isAnswered(id) {
    return this.#answered.has(id) || this.#unsent.has(id);
  }

  /** The next question, {ask, images}, with decoded images; null at the end of the study. */
  async next() {
    for (let attempt = 0; ; attempt++) {
      while (this.#queue.length) {
        const { ask, images } = this.#queue.shift();
        this.#skipped.add(ask.id);
        try {
          const decoded = await images;
          if (!this.#isAnswered(ask.id)) return { ask, images: decoded };
          release(decoded);
        } catch (error) {
          if (!(error instanceof Refused)) throw error;
        }
      }
      if (attempt && this.done) {
        await this.#unsent.flush();
        return null;
      }
      if (attempt) {
        await wait(backOff(Math.min(attempt - 1, 4)));
        this.#skipped.clear(); // the server still has questions: perhaps their images load now
      }
      // The server gives two open questions: those of votes that wait are among them.
      const sent = this.#unsent.flush();
      await (this.#unsent.size > MAX_UNSENT ? sent : Promise.race([sent, wait(PATIENCE)]));
      await this.refill();
    }
  }
}
