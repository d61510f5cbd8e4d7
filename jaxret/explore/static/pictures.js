// Photographs as figures: results with their marks, and one of them large.

import { attempt, el, get } from "./shared.js";

const SIGNS = { correct: "✓", wrong: "✗", junk: "–", unjudged: "" };
const WORDS = { correct: "right", wrong: "wrong", junk: "ignored", unjudged: "" };

export const photograph = (dataset, split, number, size = "small") =>
  `/photograph/${dataset}/${split}/${number}?size=${size}`;

export function legend() {
  return el("p", { class: "legend" }, ...["correct", "wrong", "junk"].map((mark) =>
    el("span", { class: mark }, `${SIGNS[mark]} ${WORDS[mark]}`)));
}

// One result: a button that shows it large.
function hit(entry, result) {
  const { number, name, rank, mark, similarity } = result;
  const place = rank === null ? "beyond" : String(rank);
  const described = [name, rank === null ? "" : `rank ${rank}`, WORDS[mark],
    similarity === null ? "" : `similarity ${similarity.toFixed(3)}`].filter(Boolean).join(", ");
  const picture = el("img", {
    src: photograph(entry.dataset, "database", number), alt: name, loading: "lazy", decoding: "async",
    error: (event) => event.target.replaceWith(el("span", { class: "unreadable" }, `${name} cannot be shown`)),
  });
  return el("li", { class: mark },
    el("figure", {},
      el("button", { type: "button", class: "frame", "aria-label": described, click: () => enlarge(entry, result) }, picture),
      el("figcaption", { "aria-hidden": "true" },
        el("span", { class: "verdict" },
          el("span", {}, `${place} ${SIGNS[mark]}`),
          similarity === null ? null : el("span", { class: "similarity" }, similarity.toFixed(3))),
        el("span", { class: "name", title: name }, el("bdi", {}, name)))));
}

// A list of results; left and right go from one to the next.
export function hits(entry, results, label) {
  const list = el("ol", { class: "hits", "aria-label": label }, ...results.map((one) => hit(entry, one)));
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const buttons = [...list.querySelectorAll("button")];
    const next = buttons[buttons.indexOf(document.activeElement) + step];
    if (step && next) { next.focus(); event.preventDefault(); }
  });
  return list;
}

// Columns of plain data as one object a photograph.
export function results(found, marks, ranks) {
  return found.numbers.map((number, place) => ({
    number,
    name: found.names[place],
    similarity: found.similarities ? found.similarities[place] : null,
    mark: marks ? marks[place] : "unjudged",
    rank: ranks ? ranks[place] : place + 1,
  }));
}

function enlarge(entry, { number, name, rank, mark, similarity }) {
  const dialog = document.getElementById("large");
  const picture = document.getElementById("large-picture");
  picture.alt = name;
  picture.src = photograph(entry.dataset, "database", number, "large");
  document.getElementById("large-title").textContent = name;
  const facts = [rank === null ? "" : `Rank ${rank}`, WORDS[mark], similarity === null ? "" : `similarity ${similarity.toFixed(4)}`];
  document.getElementById("large-facts").textContent = facts.filter(Boolean).join(" · ");
  const folder = document.getElementById("large-folder");
  folder.textContent = "";
  dialog.showModal();
  attempt(async () => {
    const { folder: place } = await get("/api/folder", { entry: entry.name, number });
    folder.replaceChildren("Folder: ", el("code", {}, place), " ",
      el("button", { type: "button", click: (event) => copy(place, event.target) }, "Copy"));
  });
}

async function copy(text, button) {
  await navigator.clipboard.writeText(text);
  button.textContent = "Copied";
}
