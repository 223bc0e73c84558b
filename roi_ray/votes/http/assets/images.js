// The images of a question: fetched ahead, and decoded ahead unless they are large.
import { backOff, persist, send, TryLater, wait } from "./requests.js";

const ROLES = ["original", "1", "2"];
const ATTEMPTS = 3;
const LARGE = 6_000_000; // pixels; three decoded images of this size take 72 MB
// As the file has them: no conversion of colours.
const AS_STORED = { colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation: "none" };

/** This browser cannot decode an image. */
export class Undecodable extends Error {}

async function fetchBlob(path, cache) {
  const response = await send(path, { timeout: 180_000, cache });
  try {
    return await response.blob();
  } catch {
    throw new TryLater("lost"); // cut off
  }
}

async function makeBitmap(blob) {
  try {
    return await createImageBitmap(blob, AS_STORED);
  } catch (error) {
    // Browsers that know no options, or other ones.
    if (error instanceof TypeError) return createImageBitmap(blob);
    throw error;
  }
}

async function decode(blob, ask) {
  let bitmap = null;
  try {
    bitmap = await makeBitmap(blob);
  } catch {
    throw new Undecodable("an image cannot be decoded");
  }
  if (bitmap.width === ask.width && bitmap.height === ask.height) return bitmap;
  bitmap.close();
  throw new Undecodable("an image has another size than the question");
}

/** Decode an image; fetch it again if it came damaged. */
async function decodeOrReload(path, ask, fetched, connection) {
  let blob = await fetched;
  for (let attempt = 0; ; attempt++) {
    try {
      return await decode(blob, ask);
    } catch (error) {
      if (attempt + 1 === ATTEMPTS) throw error;
    }
    connection("broken");
    await wait(backOff(attempt));
    blob = await persist(() => fetchBlob(path, "reload"), connection);
  }
}

/** Images of which only those of one question are decoded at a time, as phones have little memory. */
export function isLarge(ask) {
  return ask.width * ask.height > LARGE;
}

/** Free the memory of decoded images. */
export function release(images) {
  for (const image of Object.values(images)) image?.close();
}

/** The images of one question; nothing is fetched before the promise `turn` resolves. */
export class Images {
  #ask;
  #connection;
  #blobs;
  #decoded = null;
  numberFetched = 0;

  constructor(ask, turn, connection) {
    this.#ask = ask;
    this.#connection = connection;
    const fetch = async (role) => {
      await turn;
      const blob = await persist(() => fetchBlob(ask.images[role], "default"), connection);
      this.numberFetched += 1;
      return blob;
    };
    this.#blobs = Object.fromEntries(ROLES.map((role) => [role, fetch(role)]));
    if (!isLarge(ask)) this.decode().catch(() => {}); // the caller of `decode` handles it
  }

  /** Resolves when all are fetched, or cannot be fetched. */
  get fetched() {
    return Promise.allSettled(Object.values(this.#blobs));
  }

  /** Resolves to the decoded images by role. */
  decode() {
    this.#decoded ??= this.#decode();
    return this.#decoded;
  }

  async #decode() {
    const decodeRole = (role) => decodeOrReload(this.#ask.images[role], this.#ask, this.#blobs[role], this.#connection);
    const results = await Promise.allSettled(ROLES.map(decodeRole));
    this.#blobs = {};
    const failed = results.find((result) => result.status === "rejected");
    const images = Object.fromEntries(results.map((result, index) => [ROLES[index], result.value]));
    if (!failed) return images;
    release(images);
    throw failed.reason;
  }
}
