// What the page says.

export const LOADING = "Loading the images \u2026";
export const SAVING = "Saving your answer \u2026";
export const LOOK_AT_BOTH = "Please look at both candidates first: flip to the other one.";
export const ELSEWHERE = "You answered that question in another tab.";
export const PART = "drag to see the rest";

export const HELP = { first: "Start", later: "Back to the images" };

export const SESSION_LOST = {
  title: "Please open your invitation link again",
  text: "This browser is not signed in to the study any more. What you answered is stored. Open the link of your invitation again to go on.",
};
export const FAILED = { title: "The study cannot go on", text: "Please reload this page. If that does not help, tell whoever invited you. What you answered is stored." };

export function describeEnd(answered) {
  const answers = answered === 1 ? "1 question, and the answer is" : `${answered} questions, and all answers are`;
  return { title: "Thank you!", text: `You answered ${answers} stored. You can close this page.` };
}

/** Why nothing comes from the server: "lost", "busy" or null; `waiting` votes are not sent yet. */
export function describeConnection(reason, waiting) {
  if (!reason) return "";
  const kept = ["Nothing is lost", "Nothing is lost: 1 answer waits here"][waiting] ?? `Nothing is lost: ${waiting} answers wait here`;
  return reason === "busy" ? `The server is busy; trying again. ${kept}.` : `No connection; trying again. ${kept}.`;
}

/** Why the server does not take an answer. */
export function describeRefusal({ status }) {
  if (status === 409) return "That question has an answer already; the first one counts.";
  if (status === 404) return "An answer was not stored: the question is not one of yours.";
  return "An answer was not stored: the server cannot read it.";
}

/** What is said after a practice question. */
export function explain(choice, expected) {
  const other = expected === "1" ? "2" : "1";
  const verdict = choice === expected ? "Right:" : choice === "none" ? "They differ:" : "Not quite:";
  return `${verdict} ${expected} is closer to the original, ${other} differs from it more. Flip again to see where.`;
}
