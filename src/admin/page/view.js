// How do values become elements? All text is set as text, so that nothing in it is markup.

const SVG = "http://www.w3.org/2000/svg";

const byId = (id) => document.getElementById(id);

/** A new element with text. */
function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** Sets the text of an element if it is another one, so that nothing flickers and no selection is lost. */
function say(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/**
 * Makes the children of `parent` those of `items`, in their order. An item keeps its element, with the focus in it, as long as
 * `key` gives the same.
 */
function sync(parent, items, { key, create, update }) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const gone = new Set(parent.children);
  const seen = new Map();
  let next = parent.firstElementChild;
  for (const item of items) {
    const same = String(key(item));
    const before = seen.get(same) || 0;
    seen.set(same, before + 1);
    const id = before ? `${same} ${before}` : same;
    let child = old.get(id);
    old.delete(id);
    if (!child) {
      child = create(item);
      child.dataset.key = id;
    }
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
    gone.delete(child);
    update(child, item);
  }
  for (const child of gone) child.remove();
}

/** A row with a cell for each label. */
function row(labels) {
  const made = element("tr");
  made.setAttribute("role", "row");
  for (const [name, className] of labels) {
    const cell = element("td", undefined, className);
    cell.setAttribute("role", "cell");
    cell.dataset.label = name;
    cell.append(element("span"));
    made.append(cell);
  }
  return made;
}

/** Sets the text of the cells of a row. */
function fill(target, texts) {
  texts.forEach((text, at) => {
    if (text !== undefined) say(target.children[at].firstElementChild, text);
  });
}

/** A cell of two lines: what it is, and more about it in small letters. */
function twoLines(cell, first, second) {
  const span = cell.firstElementChild;
  if (span.childElementCount === 0) span.append(element("span", "", "mono"), element("small"));
  say(span.firstElementChild, first);
  say(span.lastElementChild, second);
}

/** The largest value, at least 1. */
const top = (values) => Math.max(1, ...values);

/** A plot of the samples of a route: bars of requests and errors, and a line of the p99. */
function plot(samples, length) {
  const made = document.createElementNS(SVG, "svg");
  made.setAttribute("class", "plot");
  made.setAttribute("viewBox", `0 0 ${length} 40`);
  made.setAttribute("preserveAspectRatio", "none");
  made.setAttribute("role", "img");
  const offset = length - samples.length;
  const most = top(samples.map((sample) => sample.requests));
  const slowest = Math.max(1e-6, ...samples.map((sample) => sample.p99 || 0));
  const bars = (name) => samples.map((sample, at) => {
    const height = (38 * Math.min(sample[name], most)) / most;
    return height > 0 ? `M${offset + at} 40v${-height}h1v${height}z` : "";
  }).join("");
  const points = samples.map((sample, at) =>
    typeof sample.p99 === "number" ? `${offset + at},${39 - (36 * sample.p99) / slowest}` : "").filter(Boolean);
  for (const name of ["requests", "errors"]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", name);
    path.setAttribute("d", bars(name));
    made.append(path);
  }
  const line = document.createElementNS(SVG, "polyline");
  line.setAttribute("class", "p99");
  line.setAttribute("points", points.join(" "));
  made.append(line);
  const sum = (name) => samples.reduce((all, sample) => all + sample[name], 0);
  made.setAttribute("aria-label",
    `Since this page was opened, at most five minutes: ${counted(sum("requests"), "request", "requests")}, ${counted(sum("errors"), "error", "errors")}, p99 at most ${duration(points.length ? slowest : undefined)}`);
  return made;
}
