// How a rater looks at one question: which candidate is shown, how often the rater flipped, how long.

export class Viewing {
  shown = "1";
  flips = 0;
  #began;

  /** `now`: performance.now() when the images were drawn. */
  constructor(now) {
    this.#began = now;
  }

  flip() {
    this.shown = this.shown === "1" ? "2" : "1";
    this.flips += 1;
  }

  get sawBoth() {
    return this.flips > 0;
  }

  /** Whole milliseconds since the images were drawn, pauses included. */
  milliseconds(now) {
    return Math.max(0, Math.round(now - this.#began));
  }
}
