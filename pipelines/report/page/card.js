"use strict";
// One trajectory, laid out for reading: what was asked, each step, the answer, and what was said about it.

const SHOWN_GOLDS = 20; // answers that count as right
const VERDICT_WORDS = new Map([[true, "right"], [false, "wrong"], [null, "not graded"]]);

/** A small label. */
function chip(text, className) {
  return said("span", className ? `chip ${className}` : "chip", text);
}

function verdictChip(correct) {
  return chip(VERDICT_WORDS.get(correct), VERDICTS[correct === null ? 2 : correct ? 0 : 1][0]);
}

/** What became of a row in the selection; null: the report is about no selection. */
function fateChip(row) {
  if (row.kept === null) return row.rule === null ? null : chip(`${row.rule} as another`, "dropped");
  return row.kept ? chip("kept", "kept") : chip(`dropped by ${row.rule}`, "dropped");
}

function cardView(row, card, pattern, openId) {
  const view = el("article", "card");
  view.append(
    said("h2", "", card.question ?? "(the question is not in the lake)", pattern),
    el("p", "chips", verdictChip(row.correct), fateChip(row), ...[row.dataset, row.kind, row.role, card.source, card.dialect].map((text) => chip(text))),
    facts(row, card, pattern, openId),
  );
  if (card.prompt !== null) view.append(folded("system prompt", card.prompt, pattern));
  if (card.forced) view.append(folded("first thought, forced", card.forced, pattern));
  for (const step of card.steps ?? []) view.append(stepView(step, card, pattern));
  view.append(ending(row, card, pattern));
  return view;
}

function facts(row, card, pattern, openId) {
  const list = el("dl", "facts");
  const add = (name, ...values) => list.append(el("dt", "", name), el("dd", "", ...values));
  const golds = card.gold ?? [];
  const more = golds.length - SHOWN_GOLDS;
  if (golds.length) {
    add("gold", ...golds.slice(0, SHOWN_GOLDS).map((gold) => said("span", "gold", gold, pattern)), more > 0 ? `and ${count(more)} more` : null);
  }
  for (const score of card.scores ?? []) add(...scoreLine(score));
  for (const review of (card.reviews ?? []).filter((each) => each.step_index === null)) add("review", reviewLine(review));
  if (card.evidence) add("evidence", said("code", "", card.evidence));
  if (row.instead !== null) add("in its place", button("link", row.instead, () => openId(row.instead)));
  add("id", said("code", "", card.id, pattern));
  return list;
}

function scoreLine({ scorer, step_index: step, value, passed }) {
  const number = value === null ? "" : ` ${Number(value.toPrecision(3))}`;
  const word = passed === null ? "undecided" : passed ? "passed" : "failed";
  return [seen(scorer), `${word}${number}${step === null ? "" : `, step ${step}`}`];
}

function reviewLine({ reviewer, verdict, rating, comment }) {
  const parts = [verdict ?? "no verdict", rating === null ? null : `rated ${rating}`, comment].filter(Boolean);
  return said("span", "", `${reviewer}: ${parts.join(", ")}`);
}

function folded(label, text, pattern) {
  const details = el("details", "folded", el("summary", "", `${label} · ${counted(text.length, "character")}`));
  details.addEventListener("toggle", () => details.append(textBlock("", text, pattern)), { once: true });
  return details;
}

function stepView(step, card, pattern) {
  const view = el("section", `step${step.kind ? " failed" : ""}`, stepTitle(step));
  if (step.completion) view.append(textBlock("completion", step.completion, pattern));
  else if (step.thought) view.append(textBlock("thought", step.thought, pattern));
  if (step.code) view.append(textBlock("code", step.code, pattern));
  for (const call of step.calls ?? []) view.append(callView(call, pattern));
  if (step.error) view.append(textBlock("error", step.error, pattern));
  if (step.observation) view.append(textBlock("observation", step.observation, pattern));
  if (step.cut) view.append(el("p", "note", `${counted(step.cut, "character")} of the observation were cut off for the agent, too`));
  if (step.vote) view.append(el("p", "note", voteLine(step.vote)));
  for (const review of (card.reviews ?? []).filter((each) => each.step_index === step.index)) view.append(el("p", "note", reviewLine(review)));
  return view;
}

function stepTitle(step) {
  const title = el("h3", "", `step ${step.index}`);
  if (step.kind) title.append(chip(`${step.kind} error`, "wrong"));
  if (step.final) title.append(chip("final", "kept"));
  if (step.weight) title.append(chip(`weight ${step.weight.weight} by ${step.weight.rule}`, "dropped"));
  const measured = [step.tokens ? counted(step.tokens, "token") : null, step.ms ? `${count(step.ms)} ms` : null];
  title.append(el("small", "", measured.filter(Boolean).join(" · ")));
  return title;
}

function callView(call, pattern) {
  const view = el("p", "call", "→ ", said("b", "", call.name, pattern), " ", said("span", "", call.arguments, pattern));
  if (call.error) view.append(" ", said("span", "wrong", call.error, pattern));
  return view;
}

function voteLine({ candidates, voting, votes }) {
  return `chosen of ${candidates} candidates with ${votes ?? 0} of ${counted(voting, "vote")}`;
}

function ending(row, card, pattern) {
  const view = el("section", "ending", el("h3", "", `ended: ${row.stop_reason}`, el("small", "", counted(row.steps, "step"))));
  if (card.answer) view.append(textBlock("answer", card.answer, pattern));
  else view.append(el("p", "empty", "no final answer"));
  if (card.error) view.append(textBlock("error", card.error, pattern));
  return view;
}
