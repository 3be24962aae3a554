"use strict";
// Cards are unpacked part by part: one when a card is opened, all when steps are searched.

const CACHED_PARTS = 6;
const CACHED_CHARS = 160e6; // of texts to search; beyond it, parts are unpacked again for each search

class Cards {
  constructor(starts, total) {
    this.starts = starts;
    this.total = total;
    this.parts = new Map();
    this.texts = new Map();
    this.chars = 0;
  }

  /** The card of a row. */
  async card(row) {
    const part = this.partOf(row);
    const { cards, prompts } = await this.part(part);
    const card = cards[row - this.starts[part]];
    return { ...card, prompt: card.prompt === undefined ? null : prompts[card.prompt] };
  }

  partOf(row) {
    let part = 0;
    while (part + 1 < this.starts.length && this.starts[part + 1] <= row) part += 1;
    return part;
  }

  async part(number) {
    const cached = this.parts.get(number);
    if (cached) return cached;
    const found = await unpack(`cards-${this.starts[number]}`);
    this.parts.set(number, found);
    if (this.parts.size > CACHED_PARTS) this.parts.delete(this.parts.keys().next().value);
    return found;
  }

  /** A promise of the lower-case texts of the cards of a part. */
  textsOf(number) {
    const cached = this.texts.get(number);
    if (cached) return cached;
    const texts = this.readTexts(number);
    this.texts.set(number, texts);
    return texts;
  }

  async readTexts(number) {
    const { cards } = await unpack(`cards-${this.starts[number]}`);
    const texts = cards.map(textOf);
    this.chars += texts.reduce((sum, text) => sum + text.length, 0);
    if (this.chars > CACHED_CHARS) {
      this.chars = CACHED_CHARS;
      this.texts.delete(number);
    }
    return texts;
  }

  /** Read the texts of all parts, as far as there is room for them. */
  async warm() {
    for (let part = 0; part < this.starts.length && this.chars < CACHED_CHARS; part += 1) await this.textsOf(part);
  }
}

/** All that a card says, in lower case; parts are kept apart so that no phrase reaches from one into the next. */
function textOf(card) {
  const texts = [card.id, card.question, ...(card.gold ?? []), card.answer, card.error];
  for (const step of card.steps ?? []) {
    texts.push(step.completion, step.thought, step.code, step.observation, step.error);
    for (const call of step.calls ?? []) texts.push(call.name, call.arguments, call.error);
  }
  for (const review of card.reviews ?? []) texts.push(review.reviewer, review.comment);
  return texts.filter(Boolean).join("\n\u0000\n").toLowerCase();
}

/** The words and "quoted phrases" of a query, in lower case. */
function termsOf(query) {
  return [...query.toLowerCase().matchAll(/"([^"]+)"|[^\s"]+/g)].map((found) => found[1] ?? found[0]);
}

/** What marks the terms in a text; null: there are none. */
function patternOf(terms) {
  if (!terms.length) return null;
  return new RegExp(terms.map((term) => term.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"), "gi");
}
