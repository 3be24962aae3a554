"use strict";
// Search and filters over the list of trajectories, the card of the chosen one, and the pairs of duplicates.

const WAIT_MS = 120; // after the last key
const SLICE_MS = 40; // of searching, before the page is drawn again

class Browser {
  constructor(rows, cards, onOpen) {
    this.rows = rows;
    this.cards = cards;
    this.onOpen = onOpen;
    this.byId = new Map(rows.map((row) => [row.id, row]));
    this.inOrder = [...rows].sort((a, b) => a.place - b.place);
    this.terms = [];
    this.found = null; // rows whose texts hold all terms; null: nothing is searched for
    this.search = 0;
    this.filters = new Map();
    this.list = new VirtualList("trajectories", rowView, (row) => this.onOpen(row.id));
    this.status = el("p", "status");
    this.status.setAttribute("role", "status");
    this.reader = el("div", "reader", el("p", "empty", "Choose a trajectory."));
    this.element = el("div", "browser", el("div", "side", this.controls(), this.status, this.list.element), this.reader);
    this.apply();
  }

  controls() {
    this.input = el("input");
    this.input.type = "search";
    this.input.placeholder = 'search all steps: words, or "a phrase"';
    this.input.setAttribute("aria-label", "search");
    // Whoever goes to the field will search: by the time the words are typed, much is unpacked.
    this.input.addEventListener("focus", () => this.cards.warm(), { once: true });
    let timer = 0;
    this.input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.startSearch(), WAIT_MS);
    });
    return el("div", "controls", this.input, el("div", "filters", ...FILTERS.map((filter) => this.select(filter))));
  }

  select({ name, label, valuesOf }) {
    const counts = new Map();
    for (const row of this.rows) for (const value of valuesOf(row)) counts.set(value, (counts.get(value) ?? 0) + 1);
    if (name === "fate" && !counts.size) return null;
    const select = el("select");
    select.setAttribute("aria-label", label);
    const option = (value, text) => {
      const element = el("option", "", seen(text));
      element.value = value;
      select.append(element);
    };
    option("", `any ${label}`);
    for (const [value, number] of [...counts].sort(([a], [b]) => a.localeCompare(b))) option(value, `${value} (${count(number)})`);
    select.addEventListener("change", () => this.apply());
    this.filters.set(name, { select, valuesOf });
    return select;
  }

  /** Set the filters by name, clear the others and the search. */
  filterBy(values) {
    this.input.value = "";
    for (const [name, { select }] of this.filters) select.value = values[name] ?? "";
    this.startSearch();
  }

  apply() {
    const active = [...this.filters.values()].filter(({ select }) => select.value);
    const shown = this.inOrder.filter(
      (row) => (!this.found || this.found.has(row)) && active.every(({ select, valuesOf }) => valuesOf(row).includes(select.value)),
    );
    this.list.show(shown);
    const progress = this.searched === undefined || this.searched === this.rows.length ? "" : `, searched ${count(this.searched)} so far`;
    this.status.textContent = `${count(shown.length)} of ${counted(this.rows.length, "trajectory", "trajectories")}${progress}`;
  }

  /** Look for the terms in questions and answers at once, then part by part in everything that the cards say. */
  async startSearch() {
    const search = (this.search += 1);
    this.terms = termsOf(this.input.value);
    this.searched = undefined;
    this.list.element.scrollTop = 0;
    if (!this.terms.length) {
      this.found = null;
      return this.apply();
    }
    const holds = (text) => this.terms.every((term) => text.includes(term));
    this.found = new Set(this.rows.filter((row) => holds(row.short)));
    this.searched = 0;
    this.apply();
    let drawn = performance.now();
    for (let part = 0; part < this.cards.starts.length; part += 1) {
      const texts = await this.cards.textsOf(part);
      if (search !== this.search) return;
      texts.forEach((text, place) => holds(text) && this.found.add(this.rows[this.cards.starts[part] + place]));
      this.searched += texts.length;
      if (performance.now() - drawn > SLICE_MS) {
        this.apply();
        await new Promise((resolve) => setTimeout(resolve));
        if (search !== this.search) return;
        drawn = performance.now();
      }
    }
    this.apply();
  }

  async open(id) {
    const row = this.byId.get(id);
    const back = button("back", "← list", () => this.onOpen(null));
    if (!row) return this.reader.replaceChildren(back, said("p", "empty", `trajectory ${id} is not embedded in this page`));
    this.list.reveal(row);
    const wanted = (this.wanted = id);
    const card = await this.cards.card(row.row);
    if (wanted !== this.wanted) return;
    this.reader.replaceChildren(back, cardView(row, card, patternOf(this.terms), this.onOpen));
    this.reader.scrollTop = 0;
  }
}

const FILTERS = [
  { name: "dataset", label: "dataset", valuesOf: (row) => [row.dataset] },
  { name: "kind", label: "kind", valuesOf: (row) => [row.kind] },
  { name: "correct", label: "verdict", valuesOf: (row) => [VERDICT_WORDS.get(row.correct)] },
  { name: "error", label: "error", valuesOf: (row) => (row.errors === null ? ["no error"] : row.errors.split(" ")) },
  { name: "fate", label: "decision", valuesOf: fatesOf },
];

/** A dropped row can be found by its rule and among all dropped ones. */
function fatesOf(row) {
  if (row.kept === null) return row.rule === null ? [] : [row.rule];
  return row.kept ? ["kept"] : ["dropped", `dropped by ${row.rule}`];
}

function rowView(row) {
  const facts = [row.dataset, row.kind, counted(row.steps, "step"), row.tokens === null ? null : counted(row.tokens, "token")];
  const answer = row.answer === null ? "no answer" : row.answer;
  return el(
    "div",
    "row-text",
    said("div", "line question", row.question ?? "(no question)"),
    el("div", "line", verdictChip(row.correct), said("span", "answer-line", answer)),
    said("div", "line dim", [...facts.filter(Boolean), row.kept === null ? null : row.kept ? "kept" : row.rule].filter(Boolean).join(" · ")),
  );
}

/** The rows that were dropped in favour of another, each with that other one. */
class Pairs {
  constructor(browser, onOpen, onPair) {
    this.browser = browser;
    this.onOpen = onOpen;
    this.onPair = onPair;
    const dropped = browser.inOrder.filter((row) => row.instead !== null);
    this.pairs = dropped.filter((row) => browser.byId.has(row.instead));
    this.list = new VirtualList("duplicates", rowView, (row) => onPair(row.id));
    this.status = el("p", "status", `${counted(this.pairs.length, "row")} with the one that stayed in its place`);
    this.reader = el("div", "reader", el("p", "empty", dropped.length ? "Choose a pair." : "Nothing here repeats another."));
    this.rule = el("select");
    this.rule.setAttribute("aria-label", "rule");
    for (const rule of ["", ...new Set(this.pairs.map((row) => row.rule))]) {
      const option = el("option", "", rule ? seen(rule) : "any rule");
      option.value = rule;
      this.rule.append(option);
    }
    this.rule.addEventListener("change", () => this.apply());
    this.element = el("div", "browser", el("div", "side", el("div", "controls", this.rule), this.status, this.list.element), this.reader);
    this.apply();
  }

  apply() {
    const shown = this.pairs.filter((row) => !this.rule.value || row.rule === this.rule.value);
    this.list.show(shown);
    this.status.textContent = `${counted(shown.length, "row")} beside the one in ${shown.length === 1 ? "its" : "their"} place`;
  }

  async open(id) {
    const row = this.pairs.find((each) => each.id === id);
    const back = button("back", "← list", () => this.onPair(null));
    if (!row) return this.reader.replaceChildren(back, said("p", "empty", `no pair of ${id} is embedded in this page`));
    this.list.reveal(row);
    const wanted = (this.wanted = row);
    const other = this.browser.byId.get(row.instead);
    const cards = await Promise.all([row, other].map((each) => this.browser.cards.card(each.row)));
    if (wanted !== this.wanted) return;
    const name = (label, each) => el("div", "name", el("b", "", label), verdictChip(each.correct), button("link", each.id, () => this.onOpen(each.id)));
    const heads = el("div", "pair heads", name(row.kept === null ? "later" : "dropped", row), name(row.kept === null ? "first" : "in its place", other));
    const why = [row.rule, cards[0].evidence].filter(Boolean).join(" · ");
    this.reader.replaceChildren(back, el("article", "card", said("p", "note", why), heads, compareView(...cards)));
    this.reader.scrollTop = 0;
  }
}
