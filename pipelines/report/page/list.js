"use strict";
// A list of any length, of which only the rows in view are in the page.

const ROW_PX = 74; // as in style.css
const SPARE_ROWS = 8;

class VirtualList {
  /** `render(item)` gives the content of a row, `choose(item)` is called when a person picks one. */
  constructor(label, render, choose) {
    this.render = render;
    this.choose = choose;
    this.items = [];
    this.active = -1;
    this.space = el("div", "space");
    this.element = el("div", "list", this.space);
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "listbox");
    this.element.setAttribute("aria-label", label);
    this.element.addEventListener("scroll", () => this.draw(), { passive: true });
    // A row that is made anew between the two halves of a click would lose it.
    this.pressed = false;
    this.space.addEventListener("pointerdown", (event) => {
      this.pressed = event.pointerType === "mouse";
    });
    for (const end of ["pointerup", "pointercancel"]) window.addEventListener(end, () => setTimeout(() => this.released()));
    this.element.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  /** Show other items; the chosen one stays chosen if it is among them. */
  show(items) {
    const chosen = this.items[this.active];
    this.items = items;
    this.active = chosen === undefined ? -1 : items.indexOf(chosen);
    this.space.style.height = `${items.length * ROW_PX}px`;
    this.draw();
  }

  released() {
    if (!this.pressed) return;
    this.pressed = false;
    this.draw();
  }

  draw() {
    if (this.pressed) return;
    const top = this.element.scrollTop;
    const first = Math.max(0, Math.floor(top / ROW_PX) - SPARE_ROWS);
    const last = Math.min(this.items.length, Math.ceil((top + this.element.clientHeight) / ROW_PX) + SPARE_ROWS);
    const rows = [];
    for (let place = first; place < last; place += 1) rows.push(this.row(place));
    this.space.replaceChildren(...rows);
    if (this.active >= 0) this.element.setAttribute("aria-activedescendant", `${this.idOf(this.active)}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  row(place) {
    const item = this.items[place];
    const row = el("div", "row", this.render(item));
    row.id = this.idOf(place);
    row.style.top = `${place * ROW_PX}px`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", String(place === this.active));
    row.setAttribute("aria-posinset", String(place + 1));
    row.setAttribute("aria-setsize", String(this.items.length));
    row.addEventListener("click", () => this.pick(item));
    return row;
  }

  idOf(place) {
    return `${this.element.getAttribute("aria-label")}-${place}`;
  }

  pick(item) {
    this.active = this.items.indexOf(item);
    this.draw();
    this.choose(item);
  }

  /** Mark `item` as chosen and bring it into view. */
  reveal(item) {
    this.active = this.items.indexOf(item);
    if (this.active >= 0) this.scrollTo(this.active);
    this.draw();
  }

  scrollTo(place) {
    const { scrollTop, clientHeight } = this.element;
    const top = place * ROW_PX;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + ROW_PX > scrollTop + clientHeight) this.element.scrollTop = top + ROW_PX - clientHeight;
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW_PX) - 1);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (!(event.key in moves) || !this.items.length) return;
    event.preventDefault();
    const place = Math.min(this.items.length - 1, Math.max(0, this.active + moves[event.key]));
    this.scrollTo(place);
    this.pick(this.items[place]);
  }
}
