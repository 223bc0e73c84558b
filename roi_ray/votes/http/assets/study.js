// The voting page: one question after another, until the study has no more for this rater.
import { watchKeys } from "./keys.js";
import { say, sayWhile } from "./messages.js";
import { Panes } from "./panes.js";
import { watchPointer } from "./pointer.js";
import { isLarge, release, Undecodable } from "./images.js";
import { Questions } from "./questions.js";
import { Barred, SessionLost } from "./requests.js";
import * as texts from "./texts.js";
import { makeId, Unsent } from "./unsent.js";
import { Viewing } from "./viewing.js";

const get = (id) => document.getElementById(id);
const candidate = get("candidate");
const CLOSINGS = [[SessionLost, "sessionLost"], [Barred, "barred"], [Undecodable, "undecodable"]];

let question = null; // {ask, rater, images} that is shown
let viewing = null;
let choose = null; // takes the choice; null while no answer is expected
let proceed = null; // ends what is said after a practice question
let take = null; // takes the server's answer to a vote of a practice question

const keys = new AbortController();

const countAnswers = () => ({ waiting: unsent.size, aside: unsent.numberAside, isAtRisk: unsent.isAtRisk });

const reasons = { browser: null, votes: null, questions: null }; // why nothing comes from the server
/** Returns a function that takes why the requests of one source fail, or null. */
const watchConnection = (source) => (reason) => {
  reasons[source] = reason;
  get("banner").textContent = texts.describeConnection(reasons.votes ?? reasons.browser ?? reasons.questions, countAnswers());
};

const unsent = new Unsent({
  connection: watchConnection("votes"),
  recorded(vote, answer) {
    questions.answered += 1;
    questions.markAnswered(vote.ask);
    take?.(vote, answer);
    loadMore();
  },
  refused(vote, error) {
    if (error.status === 409) questions.markAnswered(vote.ask);
    say(texts.describeRefusal(error));
    take?.(vote, null);
    loadMore();
  },
  elsewhere(vote) {
    questions.markAnswered(vote.ask);
    if (vote.ask === question?.ask.id) choose?.(null);
  },
});
const questions = new Questions(unsent, watchConnection("questions"));

const panes = new Panes(get("original"), candidate, () => {
  document.body.classList.toggle("is-movable", panes.isMovable);
  get("part").textContent = panes.isMovable ? texts.PART : "";
});

function loadMore() {
  questions.refill().then(showProgress).catch(stop);
}

function showProgress() {
  const answered = Math.min(questions.answered + unsent.size, questions.goal);
  get("progress-text").textContent = `${answered} of ${questions.goal} answered`;
  get("progress").max = Math.max(questions.goal, 1);
  get("progress").value = answered;
}

function showCandidate() {
  for (const name of ["1", "2"]) get(`chip-${name}`).classList.toggle("is-shown", viewing?.shown === name);
  get("shown").textContent = viewing ? `Candidate ${viewing.shown} is shown` : "";
  candidate.setAttribute("aria-label", viewing ? `Candidate ${viewing.shown}; press to see the other one` : "Candidate");
}

function enableButtons(isEnabled) {
  for (const button of document.querySelectorAll(".controls button")) button.setAttribute("aria-disabled", String(!isEnabled));
}

function flip() {
  if (!choose && !proceed) return;
  viewing.flip();
  panes.replaceCandidate(question.images[viewing.shown]);
  showCandidate();
  say("");
}

function tryToChoose(choice) {
  if (!choose) return;
  if (viewing.sawBoth) choose(choice);
  else say(texts.LOOK_AT_BOTH);
}

/** Show no question. */
function clearStage() {
  viewing = null;
  get("stage").dataset.ask = "";
  panes.clear();
  showCandidate();
}

/** Draw the next question in place of the one before; resolves to false at the end of the study. */
async function showNext() {
  let before = question;
  if (before && isLarge(before.ask)) {
    clearStage();
    release(before.images);
    before = null;
  }
  const next = await sayWhile(questions.next(), 150, () => texts.describeLoading(questions.numberFetched), clearStage);
  if (next) await panes.show(next.images.original, next.images["1"]);
  else panes.clear();
  viewing = next && new Viewing(next.ask.id, performance.now());
  question = next;
  get("stage").dataset.ask = next?.ask.id ?? "";
  if (before) release(before.images);
  get("practice").hidden = !next?.ask.training;
  showCandidate();
  showProgress();
  return next !== null;
}

/** Resolves to the vote when the rater has chosen, to null if another tab has answered. */
async function answer() {
  enableButtons(true);
  get("stage").focus({ preventScroll: true });
  const choice = await new Promise((resolve) => { choose = resolve; });
  const milliseconds = viewing.milliseconds(performance.now());
  choose = null;
  enableButtons(false);
  // Two fingers enlarge a page without a change of its own pixel ratio.
  const ratio = devicePixelRatio * (window.visualViewport?.scale ?? 1);
  const screen = { width: Math.round(window.screen.width), height: Math.round(window.screen.height), pixel_ratio: Number(ratio.toFixed(4)) };
  return choice && { id: makeId(), ask: question.ask.id, choice, flips: viewing.flips, milliseconds, screen };
}

/** Keep the vote and send it; of a practice question, resolves to the server's answer, if it has one. */
async function record(vote) {
  const canSend = unsent.add(vote, question.rater);
  showProgress();
  if (!canSend) say(texts.describeAside(unsent.numberAside));
  unsent.flush().catch(stop);
  if (!canSend || !question.ask.training) return null;
  const reply = new Promise((resolve) => {
    take = (taken, result) => { if (taken.id === vote.id) resolve(result); };
  });
  const result = await sayWhile(reply, 300, () => texts.SAVING);
  take = null;
  return result;
}

/** After a practice question: say which candidate is closer, and let the rater look again. */
async function explain(choice, expected) {
  showFeedback(true);
  get("feedback-text").textContent = texts.explain(choice, expected);
  get("stage").focus({ preventScroll: true });
  enableButtons(true);
  await new Promise((resolve) => { proceed = resolve; });
  proceed = null;
  enableButtons(false);
  showFeedback(false);
}

function showFeedback(isShown) {
  get("choices").classList.toggle("is-away", isShown);
  get("feedback").classList.toggle("is-away", !isShown);
}

function openHelp({ first }) {
  get("practice-note").hidden = !(first && questions.hasPractice);
  get("start").textContent = first ? texts.HELP.first : texts.HELP.later;
  get("help").showModal();
  get("help").scrollTop = 0;
  return new Promise((resolve) => {
    get("help").addEventListener("close", () => {
      get("stage").focus({ preventScroll: true }); // not the Help button, which the space bar would press
      resolve();
    }, { once: true });
  });
}

/** Replace the page by a last message; the first one stays. */
function close({ title, text }) {
  if (!get("closing").hidden) return;
  choose = proceed = null;
  keys.abort();
  get("help").close();
  for (const part of document.querySelectorAll("header, #stage, footer")) part.hidden = true;
  get("closing-title").textContent = title;
  get("closing-text").textContent = text;
  get("closing").hidden = false;
  get("closing-title").focus();
}

function stop(error) {
  const name = CLOSINGS.find(([type]) => error instanceof type)?.[1] ?? "failed";
  close(texts.CLOSINGS[name](countAnswers(), error));
}

function listenToKeys() {
  const step = () => ({ right: Math.round(panes.view.width / 8), down: Math.round(panes.view.height / 8) });
  watchKeys(get("help"), {
    flip, help: () => openHelp({ first: false }),
    1: () => tryToChoose("1"), 2: () => tryToChoose("2"), none: () => tryToChoose("none"),
    enter: ({ target }) => { if (proceed) proceed(); else if (target === candidate) flip(); },
    left: () => panes.move(-step().right, 0), right: () => panes.move(step().right, 0),
    up: () => panes.move(0, -step().down), down: () => panes.move(0, step().down),
  }, keys.signal);
}

function listen() {
  listenToKeys();
  watchPointer(get("original"), { move: (right, down) => panes.move(right, down) });
  watchPointer(candidate, { move: (right, down) => panes.move(right, down), tap: flip });
  // Screen readers and voice control click without a pointer.
  candidate.addEventListener("click", (event) => { if (event.detail === 0) flip(); });
  for (const button of document.querySelectorAll("[data-choice]")) button.addEventListener("click", () => tryToChoose(button.dataset.choice));
  for (const id of ["flip", "flip-again"]) get(id).addEventListener("click", flip);
  get("continue").addEventListener("click", () => proceed?.());
  get("help-button").addEventListener("click", () => openHelp({ first: false }));
  // A clicked button does not take the focus: the space bar still flips.
  for (const button of document.querySelectorAll(".controls button, #help-button")) button.addEventListener("mousedown", (event) => event.preventDefault());
  addEventListener("pagehide", () => viewing?.save(performance.now()));
  const watchBrowser = watchConnection("browser");
  addEventListener("offline", () => watchBrowser("lost"));
  addEventListener("online", () => questions.refill().then(() => watchBrowser(null)).then(showProgress).catch(stop));
}

async function run() {
  listen();
  enableButtons(false);
  await sayWhile(questions.refill(), 150, () => texts.LOADING);
  showProgress();
  if (unsent.numberAside) say(texts.describeAside(unsent.numberAside));
  unsent.flush().catch(stop); // what an earlier visit left
  if (questions.answered + unsent.size === 0 && !questions.done) await openHelp({ first: true });
  while (await showNext()) {
    const vote = await answer();
    if (!vote) {
      say(texts.ELSEWHERE);
      continue;
    }
    const reply = await record(vote);
    if (reply?.expected) await explain(vote.choice, reply.expected);
  }
  close(texts.describeEnd(questions.answered, unsent.numberAside));
}

run().catch(stop);
