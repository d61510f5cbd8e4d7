// Stored results: the choice, the list of queries, and the one that is looked at.

import { attempt, choice, el, get, keep, options, percent, points, say } from "./shared.js";
import { hits, legend, photograph, results } from "./pictures.js";

const AT_ONCE = 400; // queries of the list that are drawn
const view = document.getElementById("results");
const form = view.querySelector("form");
const list = document.getElementById("queries");
const detail = document.getElementById("query");

let catalogue;
let shown = null; // { entry, other, dataset, a, b, order }
let asked = 0, chosen = 0; // the newest request and choice: older answers are dropped

export function begin(found) {
  catalogue = { ...found, entries: found.entries.filter((one) => one.rankings.length) };
  form.addEventListener("change", (event) => choose(values(), event.target.name));
  form.addEventListener("submit", (event) => event.preventDefault());
  list.addEventListener("keydown", keys);
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) select(Number(option.dataset.place));
  });
  document.addEventListener("keydown", (event) => {
    if (view.hidden || document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("select, input, textarea")) return;
    if ((event.key === "j" || event.key === "k") && event.target !== list) keys(event);
  });
  document.querySelector("[data-skip]").addEventListener("click", (event) => {
    event.preventDefault();
    (view.hidden ? document.getElementById("found") : detail).focus();
  });
}

const values = () => Object.fromEntries(new FormData(form));

export function show() {
  if (!catalogue.entries.length) {
    document.getElementById("summary").textContent =
      "This workdir holds no evaluation: run python -m jaxret.main with this --workdir, or search by a photograph.";
    return;
  }
  choose(choice());
}

// While lists are read the old one takes no click: to look at one of its queries would end the reading.
async function choose(wanted, changed = "") {
  const mine = ++chosen;
  list.inert = true;
  await attempt(() => read(wanted, changed));
  if (mine === chosen) list.inert = false;
}

// Fills the choices from left to right, each with what the ones before it allow.
async function read(wanted, changed) {
  const mine = ++asked;
  const known = new Set(catalogue.entries.map((one) => one.dataset));
  const datasets = catalogue.datasets.filter((one) => known.has(one.name));
  const dataset = options(form.elements.dataset, datasets.map((one) => [one.name, one.label]), wanted.dataset);
  const entries = catalogue.entries.filter((one) => one.dataset === dataset);
  const named = entries.map((one) => [one.name, one.label]);
  const entry = entries.find((one) => one.name === options(form.elements.a, named, wanted.a));
  const ranking = options(form.elements.ranking, entry.rankings.map((one) => [one, one]), wanted.ranking);
  const b = options(form.elements.b, [["", "nothing"], ...named], wanted.b);
  const other = entries.find((one) => one.name === b) ?? null;
  const rankings = other ? other.rankings : [];
  // another encoder is met under the same ranking, the same encoder under another
  const near = rankings.includes(ranking) && other !== entry ? ranking : rankings.find((one) => one !== ranking);
  const against = options(form.elements.against, rankings.map((one) => [one, one]),
    changed === "b" || !wanted.against ? near : wanted.against);
  form.elements.against.disabled = !other;
  for (const option of form.elements.sort.options) {
    option.disabled = !other && (option.value === "loss" || option.value === "gain");
  }
  const sorts = form.elements.sort;
  const sort = wanted.sort && [...sorts.options].some((o) => o.value === wanted.sort && !o.disabled) ? wanted.sort : "worst";
  sorts.value = changed === "b" && other && !["loss", "gain"].includes(sort) ? "loss" : sort;

  say("Reading the dataset…");
  const about = await get("/api/dataset", { entry: entry.name });
  if (mine !== asked) return;
  const protocols = about.protocols.map((one) => [one, one]);
  const usual = about.protocols.includes("medium") ? "medium" : about.protocols[0];
  const protocol = options(form.elements.protocol, protocols, about.protocols.includes(wanted.protocol) ? wanted.protocol : usual);
  form.elements.protocol.disabled = !protocols.length;

  say("Reading the ranked lists…");
  const same = { protocol: protocol || undefined };
  const [a, c] = await Promise.all([
    get("/api/queries", { entry: entry.name, ranking, ...same }),
    other ? get("/api/queries", { entry: other.name, ranking: against, ...same }) : null,
  ]);
  if (mine !== asked) return;
  shown = { entry, other, about, ranking, against, protocol, a, b: c, sort: sorts.value };
  shown.order = ordered(shown);
  summarise();
  drawList();
  const query = wanted.query === undefined ? -1 : shown.order.indexOf(Number(wanted.query));
  select(query >= 0 && changed !== "sort" ? query : 0);
}

const gain = ({ a, b }, query) =>
  b && a.aps[query] !== null && b.aps[query] !== null ? a.aps[query] - b.aps[query] : null;

function ordered(of) {
  const { a, sort } = of;
  const queries = a.names.map((_, query) => query).filter((query) => !a.unread.includes(query));
  const key = {
    worst: (query) => a.aps[query],
    best: (query) => a.aps[query] === null ? null : -a.aps[query],
    loss: (query) => gain(of, query),
    gain: (query) => gain(of, query) === null ? null : -gain(of, query),
    order: (query) => query,
  }[sort];
  // those without a value last
  const value = (query) => key(query) ?? Infinity;
  return queries.sort((p, q) => value(p) === value(q) ? p - q : value(p) < value(q) ? -1 : 1);
}

function summarise() {
  const { entry, other, about, ranking, against, a, b } = shown;
  const sentences = [`${about.database.toLocaleString("en")} photographs, ${shown.order.length.toLocaleString("en")} queries.`];
  if (a.map !== null) sentences.push(`${entry.label}, ${ranking}: mAP ${percent(a.map)} %.`);
  if (b && b.map !== null) {
    const gains = shown.order.map((query) => gain(shown, query)).filter((one) => one !== null);
    sentences.push(`${other.label}, ${against}: ${percent(b.map)} %. ` +
      `Difference ${points(a.map - b.map)} points: better on ${gains.filter((g) => g > 0).length}, ` +
      `worse on ${gains.filter((g) => g < 0).length} of ${gains.length}.`);
  }
  if (a.remade || b?.remade) sentences.push("Ranked again from stored descriptors: the lists were not in the workdir.");
  document.getElementById("summary").textContent = sentences.join(" ");
  say("");
}

function drawList(count = AT_ONCE) {
  const items = shown.order.slice(0, count).map((query, place) => {
    const difference = gain(shown, query);
    const ap = shown.a.aps[query];
    return el("li", { role: "option", id: `query-${query}`, "data-place": place, "aria-selected": "false" },
      el("span", { class: "name" }, el("bdi", {}, shown.a.names[query])),
      el("span", { class: "ap" }, ap === null ? "–" : percent(ap)),
      shown.b ? el("span", { class: `difference ${difference > 0 ? "more" : difference < 0 ? "less" : ""}` }, points(difference)) : null);
  });
  const left = shown.order.length - items.length;
  list.replaceChildren(...items);
  list.dataset.drawn = String(items.length);
  if (left > 0) list.append(el("li", { role: "presentation", class: "more-queries" },
    el("button", { type: "button", click: () => drawList(count + AT_ONCE) }, `${left.toLocaleString("en")} more`)));
  document.getElementById("list-title").textContent =
    `Queries${shown.protocol ? `, AP in %${shown.b ? " and gain in points" : ""}` : ""}`;
}

function keys(event) {
  const selected = Number(list.querySelector("[aria-selected=true]")?.dataset.place ?? 0);
  const last = shown ? shown.order.length - 1 : 0;
  const next = { ArrowDown: selected + 1, j: selected + 1, ArrowUp: selected - 1, k: selected - 1, Home: 0, End: last,
    PageDown: selected + 10, PageUp: selected - 10 }[event.key];
  if (event.key === "Enter") { detail.focus(); event.preventDefault(); return; }
  if (next === undefined || !shown || list.inert) return;
  event.preventDefault();
  select(Math.min(Math.max(next, 0), last));
}

function select(place) {
  const query = shown.order[place];
  if (query === undefined) { detail.replaceChildren(); return; }
  if (place >= Number(list.dataset.drawn)) drawList(place + AT_ONCE);
  list.querySelector("[aria-selected=true]")?.setAttribute("aria-selected", "false");
  const option = document.getElementById(`query-${query}`);
  option.setAttribute("aria-selected", "true");
  list.setAttribute("aria-activedescendant", option.id);
  const above = option.offsetTop - list.offsetTop;
  if (above < list.scrollTop) list.scrollTop = above;
  if (above + option.offsetHeight > list.scrollTop + list.clientHeight) list.scrollTop = above + option.offsetHeight - list.clientHeight;
  keep("results", { ...values(), protocol: shown.protocol, query });
  attempt(() => look(query));
}

async function look(query) {
  const mine = ++asked;
  const { entry, other, ranking, against, protocol } = shown;
  const same = { protocol: protocol || undefined, query };
  const sides = [[entry, ranking], ...(other ? [[other, against]] : [])];
  const found = await Promise.all(sides.map(([one, by]) => get("/api/query", { entry: one.name, ranking: by, ...same })));
  if (mine !== asked) return;
  const name = found[0].name;
  const judged = found[0].positives !== null;
  detail.replaceChildren(
    el("div", { class: "asked-for" },
      el("img", { src: photograph(entry.dataset, "queries", query, "large"), alt: `Query ${name}, the part asked for framed` }),
      el("div", {},
        el("h2", { id: "query-title" }, name),
        judged ? el("p", {}, `${found[0].positives} photographs should be found${protocol ? ` (${protocol})` : ""}.`) : null,
        judged ? legend() : null)),
    el("div", { class: `sides of-${sides.length}` },
      ...sides.map(([one, by], side) => column(one, by, found[side], same, mine))));
  say(`${name}${judged ? `: AP ${found.map((one) => percent(one.ap)).join(" against ")} percent` : ""}`);
}

function column(entry, ranking, found, same, mine) {
  const title = `${entry.label}, ${ranking}`;
  const marked = results(found.results, found.results.marks, null);
  const right = marked.filter((one) => one.mark === "correct").length;
  const rest = el("div", { class: "missed" });
  const made = el("section", { "aria-label": title },
    el("h3", {}, title),
    el("p", { class: "small" },
      found.ap === null ? "" : `AP ${percent(found.ap)} %. `,
      found.positives === null ? "" : `${right} of ${found.positives} in the first ${marked.length}.`,
      found.scored ? "" : " Similarities need the descriptors, which are no longer in the workdir."),
    hits(entry, marked, `First ${marked.length} results of ${title}`),
    rest);
  if (found.missed) attempt(() => showMissed(entry, ranking, found, same, rest, mine));
  return made;
}

async function showMissed(entry, ranking, found, same, place, mine) {
  const heading = `Not in the first ${catalogue.shown}: ${found.missed} that should be found`;
  place.append(el("h4", {}, heading), el("p", { class: "muted small" }, found.may_be_whole ? "Counting where they stand…" : ""));
  const beyond = await get("/api/missed", { entry: entry.name, ranking, ...same });
  if (mine !== asked) return;
  const missed = results(beyond, beyond.numbers.map(() => "correct"), beyond.ranks);
  const more = found.missed - missed.length;
  place.replaceChildren(el("h4", {}, heading),
    el("p", { class: "muted small" },
      found.may_be_whole ? "" : "The dataset is too large for whole lists: where they stand was not kept. ",
      more > 0 ? `${more} more are not shown.` : ""),
    hits(entry, missed, heading));
}
