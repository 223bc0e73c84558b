// What the page says.

export const LOADING = "Loading the images \u2026";
export const describeLoading = (number) => (number ? `${LOADING} ${number} of 3 are here.` : LOADING);
export const SAVING = "Saving your answer \u2026";
export const LOOK_AT_BOTH = "Please look at both candidates first: flip to the other one.";
export const ELSEWHERE = "You answered that question in another tab.";
export const PART = "drag to see the rest";

export const HELP = { first: "Start", later: "Back to the images" };

const count = (number) => (number === 1 ? "1 answer" : `${number} answers`);

/** What became of the answers: `waiting` are not sent yet, `aside` cannot be sent; `isAtRisk`: the page alone has them. */
function describeAnswers({ waiting, aside, isAtRisk }) {
  const unsent = waiting + aside;
  if (unsent === 0) return "All your answers are stored.";
  const advice = isAtRisk ? "Do not close this page: nothing else has" : "This browser keeps";
  return `${count(unsent)} could not be sent. ${advice} ${unsent === 1 ? "it" : "them"}.`;
}

/** Votes of an earlier session, and votes that the server refused. */
export function describeAside(aside) {
  return `${count(aside)} from this browser could not be stored. Please tell whoever invited you.`;
}

/** Why the page cannot go on. */
export const CLOSINGS = {
  sessionLost: (answers) => ({
    title: "This browser is not signed in any more",
    text: `Please ask whoever invited you how to go on. ${describeAnswers(answers)}`,
  }),
  barred: (answers, error) => ({
    title: "The study's server refuses this page",
    text: `Please tell whoever invited you that it says: \u201c${error.message}\u201d. ${describeAnswers(answers)}`,
  }),
  undecodable: (answers) => ({
    title: "This browser cannot show these images",
    text: `Please close other pages and reload this one. If that does not help, tell whoever invited you. ${describeAnswers(answers)}`,
  }),
  failed: (answers) => ({
    title: "The study cannot go on",
    text: `Please reload this page. If that does not help, tell whoever invited you. ${describeAnswers(answers)}`,
  }),
};

/** The end of the study; `aside` votes could not be stored. */
export function describeEnd(answered, aside) {
  const stored = answered === 1 ? "1 question, and the answer is" : `${answered} questions, and all answers are`;
  const rest = aside ? ` ${describeAside(aside)}` : "";
  return { title: "Thank you!", text: `You answered ${stored} stored. You can close this page.${rest}` };
}

const REASONS = { busy: "The server is busy; trying again.", lost: "No connection; trying again.", broken: "An image came damaged; trying again." };

/** Why nothing comes from the server: "lost", "busy", "broken" or null; `waiting` votes are not sent yet. */
export function describeConnection(reason, { waiting, isAtRisk }) {
  if (!reason) return "";
  const wait = waiting === 1 ? "1 answer waits" : `${waiting} answers wait`;
  if (isAtRisk) return `${REASONS[reason]} Do not close this page: ${wait} here.`;
  return `${REASONS[reason]} Nothing is lost${waiting ? `: ${wait} here` : ""}.`;
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
