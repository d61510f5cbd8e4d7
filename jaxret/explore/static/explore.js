// The page begins: what there is, and which of the two views is shown.

import { attempt, choice, get } from "./shared.js";
import * as results from "./results.js";
import * as search from "./search.js";

const views = { results, search };

function route(catalogue) {
  const evaluated = catalogue.entries.some((one) => one.rankings.length);
  const wanted = choice().view;
  const view = wanted in views ? wanted : evaluated ? "results" : "search";
  for (const name of Object.keys(views)) document.getElementById(name).hidden = name !== view;
  for (const link of document.querySelectorAll("[data-view]")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `jaxret: ${view === "search" ? "search by photograph" : "results"}`;
  views[view].show();
}

// A photograph that misses its place must not take the page away.
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());

attempt(async () => {
  const catalogue = await get("/api/catalogue");
  document.getElementById("workdir").textContent = catalogue.workdir;
  for (const view of Object.values(views)) view.begin(catalogue);
  addEventListener("hashchange", () => route(catalogue));
  route(catalogue);
});
