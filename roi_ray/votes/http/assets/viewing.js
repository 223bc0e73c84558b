// How a rater looks at one question: which candidate is shown, how often the rater flipped, how long.

const KEY = "roi-ray.viewing"; // of the question that is shown, in this tab: a reload goes on with it

function read(ask) {
  try {
    const stored = JSON.parse(sessionStorage.getItem(KEY));
    if (stored?.ask === ask && Number.isInteger(stored.flips) && Number.isInteger(stored.milliseconds)) return stored;
  } catch {
    // Not written by this page, or the browser forbids storage.
  }
  return { flips: 0, milliseconds: 0 };
}

export class Viewing {
  shown = "1";
  flips;
  #ask;
  #began;

  /** `ask`: id of the question; `now`: performance.now() when its images were drawn. */
  constructor(ask, now) {
    const { flips, milliseconds } = read(ask);
    this.#ask = ask;
    this.flips = flips;
    this.#began = now - milliseconds;
  }

  flip() {
    this.shown = this.shown === "1" ? "2" : "1";
    this.flips += 1;
  }

  get sawBoth() {
    return this.flips > 0;
  }

  /** Whole milliseconds since the images were drawn, pauses included, but not those of a reload. */
  milliseconds(now) {
    return Math.max(0, Math.round(now - this.#began));
  }

  /** Keep flips and time for when the page is loaded again. */
  save(now) {
    try {
      sessionStorage.setItem(KEY, JSON.stringify({ ask: this.#ask, flips: this.flips, milliseconds: this.milliseconds(now) }));
    } catch {
      // Flips and time begin anew.
    }
  }
}
