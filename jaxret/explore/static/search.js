// Search by a photograph of one's own: where, which part of it, and what was found.

import { attempt, choice, el, get, keep, options, post, say } from "./shared.js";
import { hits, results } from "./pictures.js";
import { Box } from "./box.js";

const POLL = 700; // milliseconds between two looks at an index that is being made
const view = document.getElementById("search");
const form = view.querySelector("form");
const place = document.getElementById("index");
const drop = document.getElementById("drop");
const found = document.getElementById("found");
const go = document.getElementById("go");

let catalogue, box;
let entry = null, photograph = null, ready = false;
let asked = 0, searched = 0;

export function begin(given) {
  catalogue = given;
  box = new Box(document.getElementById("stage"), document.getElementById("box"), document.getElementById("whole"));
  form.addEventListener("change", () => choose(Object.fromEntries(new FormData(form))));
  form.addEventListener("submit", (event) => event.preventDefault());
  const file = document.getElementById("file");
  file.addEventListener("change", () => file.files.length && take(file.files[0]));
  for (const kind of ["dragenter", "dragover"]) {
    view.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  view.addEventListener("dragleave", (event) => {
    if (!view.contains(event.relatedTarget)) drop.classList.remove("over");
  });
  view.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  });
  go.addEventListener("click", () => { if (box.valid()) attempt(search); });
}

export function show() {
  choose(choice());
}

function choose(wanted) {
  const dataset = options(form.elements.dataset, catalogue.datasets.map((one) => [one.name, one.label]), wanted.dataset);
  const entries = catalogue.entries.filter((one) => one.dataset === dataset);
  const name = options(form.elements.a, entries.map((one) => [one.name, one.label]), wanted.a);
  entry = entries.find((one) => one.name === name);
  options(form.elements.ranking, catalogue.searches.map((one) => [one, one]), wanted.ranking);
  keep("search", Object.fromEntries(new FormData(form)));
  attempt(look);
}

// The index

async function look() {
  const mine = ++asked;
  ready = false;
  place.textContent = "Looking whether the index is there…";
  for (;;) {
    const state = await get("/api/index", { entry: entry.name });
    if (mine !== asked || view.hidden) return;
    shows(state);
    if (state.state !== "making") return;
    await new Promise((done) => setTimeout(done, POLL));
    if (mine !== asked) return;
  }
}

function shows({ state, done, total, why }) {
  ready = state === "ready";
  go.disabled = !ready || !photograph;
  if (ready) {
    place.textContent = "The index is there.";
  } else if (state === "making") {
    const bar = place.querySelector("progress") ?? el("progress", { "aria-label": "Photographs described" });
    bar.max = total;
    bar.value = done;
    const words = place.querySelector("span") ?? el("span");
    words.textContent = done ? ` ${done.toLocaleString("en")} of ${total.toLocaleString("en")} photographs described ` : " The encoder is being read ";
    if (!bar.isConnected) place.replaceChildren(bar, words, el("button", { type: "button", click: () => make(true) }, "Stop"));
  } else {
    const count = total.toLocaleString("en");
    place.replaceChildren(
      ...(state === "failed" ? [el("span", { class: "wrong-text" }, `${why} `)] : []),
      `${count} photographs are not described by this encoder yet. `,
      el("button", { type: "button", click: () => make(false) }, `Describe ${count} photographs`));
  }
}

const make = (stop) => attempt(async () => {
  await post("/api/index", stop ? { entry: entry.name, stop: 1 } : { entry: entry.name });
  await look();
});

// The photograph

const take = (file) => attempt(async () => {
  if (file.size > catalogue.most_bytes) {
    throw new Error(`${file.name} is too large: at most ${catalogue.most_bytes / 1e6} million bytes.`);
  }
  say(`Reading ${file.name}…`);
  const taken = await post("/api/uploads", { name: file.name }, file);
  photograph = taken.token;
  box.photograph(`/api/uploads/${taken.token}`, taken.name, taken.size);
  document.getElementById("asked").hidden = false;
  go.disabled = !ready;
  say(`${taken.name} is here: draw a box, or search with all of it.`);
  if (ready) await search();
});

// What was found

async function search() {
  const mine = ++searched;
  const body = JSON.stringify({ entry: entry.name, photograph, ranking: form.elements.ranking.value, box: box.value });
  const of = entry;
  const response = await fetch("/api/search", { method: "POST", body });
  if (!response.ok) throw new Error((await response.json()).error);
  for await (const step of lines(response.body)) {
    if (mine !== searched) return;
    if (step.error) throw new Error(step.error);
    if (step.doing) say(`${step.doing[0].toUpperCase()}${step.doing.slice(1)}…`);
    else draw(of, step);
  }
}

async function* lines(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    text += value ?? "";
    const whole = text.split("\n");
    text = whole.pop();
    for (const line of whole) yield JSON.parse(line);
    if (done) break;
  }
  if (text) yield JSON.parse(text);
}

function draw(of, step) {
  const shown = results(step, null, null);
  const where = box.value ? "the box" : "the whole photograph";
  found.replaceChildren(
    el("h2", { id: "found-title" }, "What was found"),
    el("p", { class: "small" }, `The first ${shown.length} of ${step.of.toLocaleString("en")} by ${where}: ${of.label}, ${step.ranking}.`),
    hits(of, shown, "Results, most similar first"));
  say(`Found by ${step.ranking}: first ${shown[0]?.name ?? "nothing"}`);
}
