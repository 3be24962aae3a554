"use strict";
// Everything on the page is made here, and only as elements and text nodes: no string ever becomes markup.
// Characters that cannot be seen, or that turn the direction of others, are shown by their number.

const TEXT_PIECE = 6000; // characters of a text that are shown before "more" is asked for
const MORE_PIECE = 20000;

// Controls (newline and tab stay), soft hyphen, direction marks, zero widths, fillers, separators, tags.
// Joiners stay: some scripts, and emoji, are made with them.
const UNSEEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e0fff}]/u;
const UNSEEN_RUN = new RegExp(`(${UNSEEN.source})\\1*`, "gu");

/** An element with a class and children; strings become text nodes, null is left out. */
function el(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  for (const child of children.flat()) if (child !== null && child !== undefined) element.append(child);
  return element;
}

function button(className, label, onClick) {
  const element = el("button", className, label);
  element.type = "button";
  element.addEventListener("click", onClick);
  return element;
}

/** Like `el`, with text of trajectories: isolated in its direction, unseen characters shown, piece by piece if long. */
function said(tag, className, text, pattern) {
  const element = el(tag, className ? `said ${className}` : "said");
  showPieces(element, text, pattern);
  return element;
}

/** A block of text of any length, with its line breaks. */
function textBlock(className, text, pattern) {
  return said("div", `text ${className}`, text, pattern);
}

function showPieces(element, text, pattern) {
  let shown = 0;
  const more = button("more", "", () => show(MORE_PIECE));
  const show = (length) => {
    more.remove();
    const end = pieceEnd(text, shown + length);
    showText(element, text.slice(shown, end), pattern);
    shown = end;
    more.textContent = `show more of the ${count(text.length - shown)} characters left`;
    if (shown < text.length) element.append(more);
  };
  show(TEXT_PIECE);
}

/** Append `text` to `parent`; what the global `pattern` finds is marked. */
function showText(parent, text, pattern) {
  if (!pattern) return showRun(parent, text);
  let end = 0;
  for (const found of text.matchAll(pattern)) {
    showRun(parent, text.slice(end, found.index));
    const mark = el("mark");
    showRun(mark, found[0]);
    parent.append(mark);
    end = found.index + found[0].length;
  }
  showRun(parent, text.slice(end));
}

function showRun(parent, text) {
  const plain = text.replaceAll("\r\n", "\n");
  let end = 0;
  for (const found of plain.matchAll(UNSEEN_RUN)) {
    if (found.index > end) parent.append(plain.slice(end, found.index));
    parent.append(el("span", "unseen", unseenName(found[0])));
    end = found.index + found[0].length;
  }
  if (end < plain.length) parent.append(plain.slice(end));
}

function unseenName(run) {
  const point = run.codePointAt(0);
  const times = run.length / (point > 0xffff ? 2 : 1);
  const name = point === 0x1b ? "ESC" : `U+${point.toString(16).toUpperCase().padStart(4, "0")}`;
  return times > 1 ? `${name} ×${times}` : name;
}

/** Text for places that take no elements, such as options of a select. */
function seen(text) {
  return text.replace(UNSEEN_RUN, (run) => `‹${unseenName(run)}›`);
}

/** An end near `wanted` that cuts no character in two. */
function pieceEnd(text, wanted) {
  if (wanted >= text.length) return text.length;
  const unit = text.charCodeAt(wanted - 1);
  return unit >= 0xd800 && unit < 0xdc00 ? wanted + 1 : wanted;
}

const NUMBERS = new Intl.NumberFormat("en");

function count(number) {
  return NUMBERS.format(number);
}

function share(part, whole) {
  if (!whole) return "–";
  const percent = (100 * part) / whole;
  return percent > 0 && percent < 1 ? "<1 %" : `${percent.toFixed(0)} %`;
}

/** "1 step", "2 steps". */
function counted(number, noun, nouns = `${noun}s`) {
  return `${count(number)} ${number === 1 ? noun : nouns}`;
}
