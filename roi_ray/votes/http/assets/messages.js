// What the page says beside its images: a notice, or what it waits for.

let notice = ""; // until the rater flips
let activity = ""; // what the page waits for

function show() {
  document.getElementById("message").textContent = activity || notice;
}

/** Say something until the rater flips; "" says nothing. */
export function say(text) {
  notice = text;
  show();
}

/** Say `text` while the promise is pending, if it takes longer than this; return what it resolves to. */
export async function sayWhile(promise, milliseconds, text, onWait = () => {}) {
  const timer = setTimeout(() => {
    activity = text;
    show();
    onWait();
  }, milliseconds);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    activity = "";
    show();
  }
}
