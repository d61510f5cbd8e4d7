// What all parts of the page use: requests, elements, the address, what a screen reader is told.

export async function get(path, parameters = {}) {
  return answer(await fetch(address(path, parameters)));
}

export async function post(path, parameters = {}, body = undefined) {
  return answer(await fetch(address(path, parameters), { method: "POST", body }));
}

export function address(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null);
  const query = new URLSearchParams(given).toString();
  return query ? `${path}?${query}` : path;
}

async function answer(response) {
  if (response.ok) return response.json();
  const text = await response.text();
  let problem = text;
  try { problem = JSON.parse(text).error; } catch { /* plain text */ }
  throw new Error(problem || `The server answered ${response.status}.`);
}

// An element; attributes whose value is false or null are left out, functions listen.
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export function options(select, entries, chosen) {
  select.replaceChildren(...entries.map(([value, label]) => el("option", { value }, label)));
  const values = entries.map(([value]) => value);
  select.value = values.includes(chosen) ? chosen : values[0] ?? "";
  return select.value;
}

export function say(text) {
  document.getElementById("status").textContent = text;
}

export function problem(error) {
  const place = document.getElementById("problem");
  const text = error ? error.message ?? String(error) : "";
  if (place.textContent !== text) place.textContent = text;
  place.hidden = !text;
}

// Does the work; what goes wrong is shown.
export async function attempt(work) {
  try {
    problem(null);
    return await work();
  } catch (error) {
    if (error.name !== "AbortError") { say(""); problem(error); }
    return undefined;
  }
}

export const percent = (fraction) => fraction === null || fraction === undefined ? "–" : (100 * fraction).toFixed(1);

export function points(difference) {
  if (difference === null) return "–";
  const rounded = Number((100 * difference).toFixed(1));
  return `${rounded > 0 ? "+" : rounded < 0 ? "−" : ""}${Math.abs(rounded).toFixed(1)}`;
}

// The address keeps the choice: #results?dataset=...&a=...
export function choice() {
  const [view, query = ""] = location.hash.slice(1).split("?");
  return { view, ...Object.fromEntries(new URLSearchParams(query)) };
}

export function keep(view, values) {
  const given = Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const hash = `#${view}?${new URLSearchParams(given)}`;
  if (location.hash !== hash) history.replaceState(null, "", hash);
  document.querySelector(`[data-view=${view}]`).setAttribute("href", hash); // to come back to
}
