// A box on a photograph: drawn by the pointer, or given by its edges; both show the same.

import { el } from "./shared.js";

const LEAST = 4; // pixels on the screen: less is a click
const EDGES = ["x1", "y1", "x2", "y2"];

export class Box {
  // `stage` shows the photograph, `form` has a number field an edge.
  constructor(stage, form, whole) {
    this.stage = stage;
    this.fields = EDGES.map((name) => form.elements[name]);
    this.drawn = el("div", { class: "drawn", hidden: true });
    form.addEventListener("input", () => this.#fromFields());
    form.addEventListener("submit", (event) => event.preventDefault());
    whole.addEventListener("click", () => this.set(null));
    stage.addEventListener("pointerdown", (event) => this.#start(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    stage.addEventListener("pointerup", () => { this.from = null; });
    stage.addEventListener("pointercancel", () => { this.from = null; });
  }

  photograph(src, name, [width, height]) {
    this.size = [width, height];
    this.picture = el("img", { src, alt: `${name}, ${width} by ${height} pixels`, draggable: "false" });
    this.stage.replaceChildren(this.picture, this.drawn);
    this.fields.forEach((field, edge) => { field.max = this.size[edge % 2]; });
    this.set(null);
  }

  // null is the whole photograph
  set(value, write = true) {
    this.value = value;
    this.drawn.hidden = value === null;
    if (write) this.fields.forEach((field, edge) => { field.value = value ? value[edge] : ""; });
    this.fields.forEach((field) => field.setCustomValidity(""));
    if (!value) return;
    const [width, height] = this.size;
    const [x1, y1, x2, y2] = value;
    Object.assign(this.drawn.style, { left: `${100 * x1 / width}%`, top: `${100 * y1 / height}%`,
      width: `${100 * (x2 - x1) / width}%`, height: `${100 * (y2 - y1) / height}%` });
  }

  // Whether what the fields say is a box inside of the photograph, or nothing at all.
  valid() {
    return this.fields.every((field) => field.reportValidity());
  }

  #fromFields() {
    const given = this.fields.map((field) => field.value);
    if (given.every((text) => text === "")) { this.set(null); return; }
    const [width, height] = this.size;
    const [x1, y1, x2, y2] = given.map(Number);
    const inside = given.every((text) => text !== "") && x1 >= 0 && y1 >= 0 && x1 < x2 && y1 < y2 && x2 <= width && y2 <= height;
    if (inside) { this.set([x1, y1, x2, y2], false); return; }
    this.set(null, false);
    this.fields[3].setCustomValidity(`All four edges, left below right, top below bottom, within ${width} x ${height} pixels.`);
  }

  #place(event) {
    const frame = this.picture.getBoundingClientRect();
    const part = [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height];
    return part.map((one, axis) => Math.round(Math.min(Math.max(one, 0), 1) * this.size[axis]));
  }

  #start(event) {
    if (!this.picture || event.button !== 0) return;
    event.preventDefault();
    this.stage.setPointerCapture(event.pointerId);
    this.from = { screen: [event.clientX, event.clientY], place: this.#place(event) };
  }

  #move(event) {
    if (!this.from) return;
    const [left, top] = this.from.screen;
    if (Math.abs(event.clientX - left) < LEAST || Math.abs(event.clientY - top) < LEAST) return;
    const [p, q] = [this.from.place, this.#place(event)];
    const box = [Math.min(p[0], q[0]), Math.min(p[1], q[1]), Math.max(p[0], q[0]), Math.max(p[1], q[1])];
    if (box[0] < box[2] && box[1] < box[3]) this.set(box);
  }
}
