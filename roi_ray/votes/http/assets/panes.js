// Two canvases that show the same part of two images, one image pixel per pixel of the screen.

const SURROUND = "#6c6c6c";

/** Report that the window has come to a screen of another pixel ratio. */
function watchRatio(report) {
  matchMedia(`(resolution: ${devicePixelRatio}dppx)`).addEventListener("change", () => {
    report();
    watchRatio(report);
  }, { once: true });
}

/** Report the size of a canvas' box in whole pixels of the screen, now and when it changes. */
function watchSize(canvas, report) {
  const measure = (exact) => {
    const ratio = devicePixelRatio;
    const { left, top, right, bottom } = canvas.getBoundingClientRect();
    // The edges of the box are drawn at the nearest pixels of the screen.
    const width = Math.round(right * ratio) - Math.round(left * ratio), height = Math.round(bottom * ratio) - Math.round(top * ratio);
    // Developer tools that imitate another screen give the size that their own screen would have.
    if (exact && Math.abs(exact.inlineSize - width) < 2 && Math.abs(exact.blockSize - height) < 2) report(exact.inlineSize, exact.blockSize);
    else report(width, height);
  };
  const observer = new ResizeObserver(([entry]) => measure(entry.devicePixelContentBoxSize?.[0]));
  try {
    observer.observe(canvas, { box: "device-pixel-content-box" });
  } catch {
    observer.observe(canvas); // Safari
    addEventListener("resize", () => measure());
    watchRatio(() => measure());
  }
}

/** First pixel that is shown, with the part that is shown kept within the image. */
function clamp(first, shown, size) {
  return Math.min(Math.max(first, 0), Math.max(size - shown, 0));
}

export class Panes {
  #panes;
  #size = { width: 0, height: 0 };
  #middle = { x: 0, y: 0 }; // of what is shown, in pixels of the images
  #onChange;
  #isReady;

  /** `onChange` is called when the images or the size of their boxes change. */
  constructor(original, candidate, onChange = () => {}) {
    this.#onChange = onChange;
    this.#panes = [original, candidate].map((canvas) => ({ canvas, context: canvas.getContext("2d", { alpha: false }), image: null }));
    this.#isReady = Promise.all(this.#panes.map((pane) => new Promise((resolve) => {
      watchSize(pane.canvas, (width, height) => {
        this.#resize(pane, width, height);
        resolve();
      });
    })));
    for (const { canvas } of this.#panes) canvas.addEventListener("contextrestored", () => this.#draw());
    addEventListener("visibilitychange", () => this.#draw());
  }

  /** Pixels of the images that are shown: the smaller box decides, so that both show the same. */
  get view() {
    return {
      width: Math.min(...this.#panes.map(({ canvas }) => canvas.width)),
      height: Math.min(...this.#panes.map(({ canvas }) => canvas.height)),
    };
  }

  get isMovable() {
    const { width, height } = this.view;
    return this.#size.width > width || this.#size.height > height;
  }

  /** Show another question's images, of the same size, from their middle; resolves when drawn. */
  async show(original, candidate) {
    await this.#isReady;
    this.#size = { width: original.width, height: original.height };
    this.#middle = { x: original.width / 2, y: original.height / 2 };
    [this.#panes[0].image, this.#panes[1].image] = [original, candidate];
    this.#draw();
    this.#onChange();
  }

  /** Draw the other candidate in the place of the one that is shown. */
  replaceCandidate(candidate) {
    this.#panes[1].image = candidate;
    this.#draw();
  }

  clear() {
    for (const pane of this.#panes) pane.image = null;
    this.#size = { width: 0, height: 0 };
    this.#draw();
    this.#onChange();
  }

  /** First column and row that are shown. */
  get #corner() {
    const { width, height } = this.view;
    return {
      left: clamp(Math.floor(this.#middle.x - width / 2), width, this.#size.width),
      top: clamp(Math.floor(this.#middle.y - height / 2), height, this.#size.height),
    };
  }

  /** Move what is shown by whole pixels of the screen, to the right and down if positive; returns whether it moved. */
  move(right, down) {
    const { width, height } = this.view;
    const { left, top } = this.#corner;
    this.#middle.x = clamp(left + Math.round(right), width, this.#size.width) + width / 2;
    this.#middle.y = clamp(top + Math.round(down), height, this.#size.height) + height / 2;
    this.#draw();
    return this.#corner.left !== left || this.#corner.top !== top;
  }

  /** The middle of what is shown stays where it is. */
  #resize({ canvas }, width, height) {
    if (canvas.width === width && canvas.height === height) return;
    canvas.width = width;
    canvas.height = height;
    this.#draw();
    this.#onChange();
  }

  #draw() {
    const { width, height } = this.view;
    const { width: imageWidth, height: imageHeight } = this.#size;
    const { left, top } = this.#corner;
    // Smaller images are in the middle of their boxes.
    const x = Math.max(0, Math.floor((width - imageWidth) / 2)), y = Math.max(0, Math.floor((height - imageHeight) / 2));
    const across = Math.min(width, imageWidth), down = Math.min(height, imageHeight);
    for (const { canvas, context, image } of this.#panes) {
      context.imageSmoothingEnabled = false;
      context.fillStyle = SURROUND;
      context.fillRect(0, 0, canvas.width, canvas.height);
      if (image && across && down) context.drawImage(image, left, top, across, down, x, y, across, down);
    }
  }
}
