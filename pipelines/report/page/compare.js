"use strict";
// A dropped trajectory beside the one that stayed in its place, with what differs marked word by word.

const NAMED_DIFFERENCES = 12;
const FOLD_CHARS = 400; // of a text that is the same on both sides; longer ones are folded
const DIFF_CHARS = 20000; // of each text
const DIFF_CELLS = 1e6; // words of one text times words of the other; beyond it the differing middle is one piece

/** Runs [text, differs] of `left` and of `right`; joined they give each text again. */
function diffWords(left, right) {
  const [a, b] = [left, right].map((text) => text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? []);
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail += 1;
  const middle = [a, b].map((words) => words.slice(head, words.length - tail));
  const common = commonWords(...middle);
  return [a, b].map((words, side) => {
    const flags = words.map((_, place) => {
      const inside = place - head;
      return inside >= 0 && place < words.length - tail && !common[side].has(inside);
    });
    return runsOf(words, flags);
  });
}

/** Places of a longest common subsequence in either list. */
function commonWords(a, b) {
  const places = [new Set(), new Set()];
  if (a.length * b.length > DIFF_CELLS) return places;
  const width = b.length + 1;
  const longest = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const at = i * width + j;
      longest[at] = a[i] === b[j] ? longest[at + width + 1] + 1 : Math.max(longest[at + width], longest[at + 1]);
    }
  }
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) {
      places[0].add(i++);
      places[1].add(j++);
    } else if (longest[(i + 1) * width + j] >= longest[i * width + j + 1]) i += 1;
    else j += 1;
  }
  return places;
}

function runsOf(words, flags) {
  const runs = [];
  words.forEach((word, place) => {
    const last = runs.at(-1);
    if (last && last[1] === flags[place]) last[0] += word;
    else runs.push([word, flags[place]]);
  });
  return runs;
}

/** Pairs of steps in order, [left, right]; steps that act alike stand beside each other, null where one has none. */
function pairedSteps(left, right) {
  const keyOf = (step) => step.code ?? step.completion ?? step.thought ?? "";
  const common = commonWords(left.map(keyOf), right.map(keyOf));
  const pairs = [];
  for (let i = 0, j = 0; i < left.length || j < right.length; ) {
    const [own, other] = [i < left.length && !common[0].has(i), j < right.length && !common[1].has(j)];
    const both = own === other;
    pairs.push([both || own ? left[i++] : null, both || other ? right[j++] : null]);
  }
  return pairs;
}

/** What is compared, in reading order: [label, left text, right text]; an empty text is one that is not there. */
function statements(left, right) {
  const list = [["question", left.question, right.question], ["system prompt", left.prompt, right.prompt]];
  for (const [one, other] of pairedSteps(left.steps ?? [], right.steps ?? [])) {
    const indexes = new Set([one, other].filter(Boolean).map((step) => step.index));
    const name = `step ${[...indexes].join(" beside ")}`;
    for (const [part, key] of STEP_PARTS) list.push([`${name} ${part}`, saidIn(one, key), saidIn(other, key)]);
  }
  list.push(["final answer", left.answer, right.answer]);
  return list.map(([label, ...texts]) => [label, ...texts.map((text) => text ?? "")]).filter(([, a, b]) => a || b);
}

const STEP_PARTS = [["completion", "completion"], ["thought", "thought"], ["action", "code"], ["error", "error"], ["observation", "observation"]];

/** A part of a step; the thought of a completion that is shown whole would be said twice. */
function saidIn(step, key) {
  return step === null || (key === "thought" && step.completion) ? null : step[key];
}

function compareView(dropped, kept) {
  const compared = statements(dropped, kept);
  const differing = compared.filter(([, left, right]) => left !== right).map(([label]) => label);
  const view = el("div", "compare");
  const more = differing.length - NAMED_DIFFERENCES;
  const names = differing.slice(0, NAMED_DIFFERENCES).join(", ") + (more > 0 ? ` and ${count(more)} more` : "");
  view.append(el("p", "note", names ? `different: ${names}` : "nothing differs in what was said and observed"));
  for (const row of compared) view.append(comparedRow(...row));
  return view;
}

function comparedRow(label, left, right) {
  const same = left === right;
  if (same && left.length > FOLD_CHARS) return folded(`${label}, the same`, left, null);
  const row = el("div", same ? "pair same" : "pair", el("h3", "", label, same ? el("small", "", "the same") : null));
  const cut = [left, right].map((text) => text.slice(0, pieceEnd(text, DIFF_CHARS)));
  diffWords(...cut).forEach((runs, side) => {
    const text = el("div", "said text");
    for (const [run, differs] of runs) {
      const piece = differs ? el("mark", side ? "only-kept" : "only-dropped") : text;
      showText(piece, run);
      if (differs) text.append(piece);
    }
    const rest = [left, right][side].length - cut[side].length;
    if (rest) text.append(el("p", "note", `${count(rest)} characters more, not compared here`));
    if (!runs.length) text.append(el("span", "empty", "(nothing)"));
    row.append(text);
  });
  return row;
}
