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

/** Say `describe()` while the promise is pending, if it takes longer than this; return what it resolves to. */
export async function sayWhile(promise, milliseconds, describe, onWait = () => {}) {
  let timer = setTimeout(() => {
    onWait();
    repeat();
  }, milliseconds);
  const repeat = () => {
    activity = describe();
    show();
    timer = setTimeout(repeat, 2000);
  };
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    activity = "";
    show();
  }
}
