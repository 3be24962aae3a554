"use strict";
// Bars from plain elements; every bar has its number beside it, so that colour and length say nothing alone.

const SHOWN_BARS = 12;
const LABEL_PX = 18; // the number above a column

const VERDICTS = [
  ["correct", "right"],
  ["wrong", "wrong"],
  ["undecided", "not graded"],
];

function section(title, note, ...children) {
  return el("section", "panel", el("h2", "", title), note ? el("p", "note", note) : null, ...children);
}

/** A bar of several parts of `whole`; parts are [class, number]. */
function bar(parts, whole) {
  const track = el("div", "track");
  for (const [name, number] of parts) {
    if (!number) continue;
    const piece = el("div", `piece ${name}`);
    piece.style.width = `${(100 * number) / whole}%`;
    track.append(piece);
  }
  return track;
}

/** Labelled bars: rows of {label, parts, value, title, onClick}; names that models make up can be very many. */
function bars(rows) {
  const left = rows.length - SHOWN_BARS;
  const most = Math.max(1, ...rows.map((row) => row.parts.reduce((sum, [, number]) => sum + number, 0)));
  return el("div", "bars", ...rows.slice(0, SHOWN_BARS).map((row) => barRow(row, most)), left > 0 ? el("p", "note", `and ${count(left)} more, none larger`) : null);
}

function barRow({ label, parts, value, title, onClick }, most) {
  const cells = [said("span", "label", label), bar(parts, most), el("span", "value", value)];
  const row = onClick ? button("bar-row", cells, onClick) : el("div", "bar-row", ...cells);
  if (title) row.title = seen(title);
  return row;
}

/** Upright bars for what has an order: columns of {label, parts, value}. */
function columns(list) {
  const total = (column) => column.parts.reduce((sum, [, number]) => sum + number, 0);
  const most = Math.max(1, ...list.map(total));
  return el("div", "columns", ...list.map((column) => {
    const stack = el("div", "stack");
    stack.style.height = `calc((100% - ${LABEL_PX}px) * ${total(column) / most})`;
    for (const [name, number] of column.parts) {
      if (!number) continue;
      const piece = el("div", `piece ${name}`);
      piece.style.flexGrow = String(number);
      stack.append(piece);
    }
    const tall = el("div", "tall", el("span", "value", column.value), stack);
    const element = el("div", "column", tall, el("span", "label", column.label));
    element.title = column.title;
    return element;
  }));
}

function legend(names) {
  return el("p", "legend", ...names.map(([name, label]) => el("span", "", el("i", `piece ${name}`), label)));
}

function verdictParts(row) {
  return VERDICTS.map(([name]) => [name, row[name]]);
}

function verdictTitle(row) {
  return VERDICTS.map(([name, label]) => `${label} ${count(row[name])}`).join(", ");
}

function total(row) {
  return VERDICTS.reduce((sum, [name]) => sum + row[name], 0);
}

/** A histogram as the query gives it: bins of one width, empty ones left out. */
function histogram({ width, bins, most }) {
  if (!bins.length) return el("p", "empty", "not recorded");
  const byLeast = new Map(bins.map((bin) => [bin.least, bin]));
  const first = bins[0].least;
  const last = bins.at(-1).least;
  const list = [];
  for (let least = first; least <= last; least += width) {
    const bin = byLeast.get(least) ?? { correct: 0, wrong: 0, undecided: 0 };
    const open = least === last && most >= least + width;
    const label = open ? `${short(least)}+` : short(least);
    const range = open ? `${count(least)} to ${count(most)}` : width === 1 ? count(least) : `${count(least)} to ${count(least + width - 1)}`;
    list.push({ label, parts: verdictParts(bin), value: total(bin) ? short(total(bin)) : "", title: `${range}: ${verdictTitle(bin)}` });
  }
  return columns(list);
}

function short(number) {
  if (number < 1000) return String(number);
  if (number < 1e6) return `${Number((number / 1000).toPrecision(3))}k`;
  return `${Number((number / 1e6).toPrecision(3))}M`;
}

/** A table: columns are [title, row => text or number]. */
function table(rows, cells) {
  const head = el("tr", "", ...cells.map(([title]) => el("th", "", title)));
  const body = rows.map((row) => el("tr", "", ...cells.map(([, cell]) => tableCell(cell(row)))));
  return el("div", "scroll", el("table", "", el("thead", "", head), el("tbody", "", ...body)));
}

function tableCell(value) {
  if (typeof value === "number") return el("td", "number", count(value));
  return value === null ? el("td", "", "–") : said("td", "", value);
}
