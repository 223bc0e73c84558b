// Two canvases that show the same part of two images, one image pixel per pixel of the screen.

const SURROUND = "#6c6c6c";

/** Report the size of a canvas' box in whole pixels of the screen, now and when it changes. */
function watchSize(canvas, report) {
  const measure = () => {
    // The edges of the box are drawn at the nearest pixels.
    const { left, top, right, bottom } = canvas.getBoundingClientRect();
    const ratio = devicePixelRatio;
    report(Math.round(right * ratio) - Math.round(left * ratio), Math.round(bottom * ratio) - Math.round(top * ratio));
  };
  const observer = new ResizeObserver(([entry]) => {
    const exact = entry.devicePixelContentBoxSize?.[0];
    if (exact) report(exact.inlineSize, exact.blockSize);
    else measure();
  });
  try {
    observer.observe(canvas, { box: "device-pixel-content-box" });
  } catch {
    observer.observe(canvas); // Safari
    addEventListener("resize", measure);
  }
}

/** First pixel that is shown, with the part that is shown kept within the image. */
function clamp(first, shown, size) {
  return Math.min(Math.max(first, 0), Math.max(size - shown, 0));
}

export class Panes {
  #panes;
  #size = { width: 0, height: 0 };
  #left = 0;
  #top = 0;
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
    const { width, height } = this.view;
    this.#left = Math.floor((this.#size.width - width) / 2);
    this.#top = Math.floor((this.#size.height - height) / 2);
    [this.#panes[0].image, this.#panes[1].image] = [original, candidate];
    this.#draw();
    this.#onChange();
  }

  /** Exchange the candidate in its place. */
  exchange(candidate) {
    this.#panes[1].image = candidate;
    this.#draw();
  }

  clear() {
    for (const pane of this.#panes) pane.image = null;
    this.#size = { width: 0, height: 0 };
    this.#draw();
    this.#onChange();
  }

  /** Move what is shown by whole pixels of the screen: to the right and down if positive. */
  move(right, down) {
    this.#left += Math.round(right);
    this.#top += Math.round(down);
    this.#draw();
  }

  #resize(pane, width, height) {
    const { canvas } = pane;
    if (canvas.width === width && canvas.height === height) return;
    const before = this.view;
    canvas.width = width;
    canvas.height = height;
    const after = this.view;
    // The middle of what is shown stays where it is.
    this.#left += Math.round((before.width - after.width) / 2);
    this.#top += Math.round((before.height - after.height) / 2);
    this.#draw();
    this.#onChange();
  }

  #draw() {
    const { width, height } = this.view;
    const { width: imageWidth, height: imageHeight } = this.#size;
    this.#left = clamp(this.#left, width, imageWidth);
    this.#top = clamp(this.#top, height, imageHeight);
    // Smaller images are in the middle of their boxes.
    const x = Math.max(0, Math.floor((width - imageWidth) / 2)), y = Math.max(0, Math.floor((height - imageHeight) / 2));
    const across = Math.min(width, imageWidth), down = Math.min(height, imageHeight);
    for (const { canvas, context, image } of this.#panes) {
      context.imageSmoothingEnabled = false;
      context.fillStyle = SURROUND;
      context.fillRect(0, 0, canvas.width, canvas.height);
      if (image && across && down) context.drawImage(image, this.#left, this.#top, across, down, x, y, across, down);
    }
  }
}
