// Keys of the page.

const BY_KEY = {
  " ": "flip", f: "flip", F: "flip", h: "help", H: "help", Enter: "enter",
  1: "1", 2: "2", 0: "none", "?": "none",
  ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down",
};
// Keyboards whose digits need Shift, as the French one, have the digits' keys without it.
const BY_PLACE = { Digit1: "1", Digit2: "2", Digit0: "none" };
const REPEATABLE = new Set(["left", "right", "up", "down"]);

/** What a key stands for, or null; a key that is held repeats only where it moves the images. */
export function readKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return null;
  const name = BY_KEY[event.key] ?? (event.shiftKey ? null : BY_PLACE[event.code]) ?? null;
  return event.repeat && !REPEATABLE.has(name) ? null : name;
}
