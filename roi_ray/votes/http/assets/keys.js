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
function readKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return null;
  const name = BY_KEY[event.key] ?? (event.shiftKey ? null : BY_PLACE[event.code]) ?? null;
  return event.repeat && !REPEATABLE.has(name) ? null : name;
}

/** Call `actions[name](event)` for keys, until `signal`. While the dialog `help` is open, the help key closes it. */
export function watchKeys(help, actions, signal) {
  document.addEventListener("keydown", (event) => {
    // A key that is held presses no button again and again, and scrolls nothing but the help.
    if (event.repeat && (event.key === "Enter" || (event.key === " " && !help.open))) event.preventDefault();
    const name = readKey(event);
    if (help.open) {
      if (name === "help") help.close();
      return;
    }
    // A focused button is pressed by these keys.
    if (!name || ((event.key === " " || event.key === "Enter") && event.target.closest("button"))) return;
    // Arrow keys scroll the page where they move no image.
    if (actions[name](event) !== false) event.preventDefault();
  }, { signal });
}
