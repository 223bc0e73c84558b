// The questions of this rater, with their images loaded ahead.
import { Images, release, Undecodable } from "./images.js";
import { backOff, persist, post, Refused, TryLater, wait } from "./requests.js";

const MAX_UNSENT = 5;
const PATIENCE = 3000; // milliseconds that a vote may take before more questions are asked for
const ROUNDS = 2; // of open questions whose images this browser cannot decode, before it gives up

export class Questions {
  #queue = [];
  #skipped = new Set(); // shown, or without images that can be shown
  #answered = new Set(); // the server may list them in an answer that comes later
  #awaited = null; // images of the question that `next` waits for
  #chain = Promise.resolve();
  #fetched = Promise.resolve(); // the images that were asked for last
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
    this.#setRater(state.rater ?? null);
    for (const ask of state.asks) {
      if (this.#skipped.has(ask.id) || this.#isAnswered(ask.id)) continue;
      if (this.#queue.some((question) => question.ask.id === ask.id)) continue;
      // One question after another: the first one is there sooner.
      const images = new Images(ask, this.#fetched, this.#connection);
      this.#fetched = images.fetched;
      this.#queue.push({ ask, rater: this.#unsent.rater, images });
    }
  }

  /** Another tab may have joined with another invitation: then the questions are another rater's. */
  #setRater(rater) {
    if (rater !== this.#unsent.rater) this.#queue = [];
    this.#unsent.rater = rater;
  }

  /** Whether the questions that are loaded begin with one to practise. */
  get hasPractice() {
    return this.#queue[0]?.ask.training === true;
  }

  /** How many images of the question that `next` waits for are fetched. */
  get numberFetched() {
    return this.#awaited?.numberFetched ?? 0;
  }

  markAnswered(id) {
    this.#answered.add(id);
  }

  #isAnswered(id) {
    return this.#answered.has(id) || this.#unsent.has(id);
  }

  /**
   * The next question, {ask, rater, images}, with decoded images; null at the end of the study.
   * Rejects with Undecodable if this browser can decode the images of no open question.
   */
  async next() {
    for (let attempt = 0, rounds = 0; ; attempt++) {
      let undecodable = null;
      while (this.#queue.length) {
        const { ask, rater, images } = this.#queue.shift();
        this.#awaited = images;
        this.#skipped.add(ask.id);
        try {
          const decoded = await images.decode();
          if (!this.#isAnswered(ask.id)) return { ask, rater, images: decoded };
          release(decoded);
        } catch (error) {
          if (error instanceof Undecodable) undecodable = error;
          else if (!(error instanceof Refused)) throw error;
        }
      }
      if (undecodable && ++rounds === ROUNDS) throw undecodable;
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
