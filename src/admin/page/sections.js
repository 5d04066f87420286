// What do the parts of the page show?

/** How many samples a plot has: one each second for five minutes. */
const HISTORY = 300;

/** For how many seconds a route with errors stays red, and over how many a rate is taken. */
const RED = 60;
const RATE = 5;

/** How many routes are named that are not ready. */
const NAMED = 5;

const history = new Map();

const routeKey = (route) => JSON.stringify([route.pattern, route.host]);

/** Ends for which the client is the reason. They are listed, and turn nothing red. */
const OF_CLIENTS = ["client-gone", "none"];

const errorsOf = (route) => Object.entries(route.errors || {})
  .reduce((sum, [end, count]) => (OF_CLIENTS.includes(end) ? sum : sum + count), 0);

/** Adds what has come since the last look to the history of a route. */
function remember(route) {
  const key = routeKey(route);
  const known = history.get(key) || { samples: [], requests: route.requests, errors: errorsOf(route) };
  const since = (now, before) => Math.max(0, (now || 0) - (before || 0));
  known.samples.push({
    requests: since(route.requests, known.requests),
    errors: since(errorsOf(route), known.errors),
    p99: route.p99,
  });
  known.samples.splice(0, known.samples.length - HISTORY);
  known.requests = route.requests;
  known.errors = errorsOf(route);
  history.set(key, known);
  return known.samples;
}

const ROUTE_CELLS = [["Route"], ["Rate", "number"], ["Five minutes"], ["p50", "number"], ["p99", "number"], ["Errors"],
  ["In flight", "number"], ["Queue", "number"], ["Memory", "number"]];

/** Whether a request of a route has failed lately: since the page was opened, or as the list of failures has it. */
function fails(route, samples, failures) {
  const isLate = (failure) => failure.route === route.pattern && Date.now() - new Date(failure.time) < RED * 1000;
  return samples.slice(-RED).some((sample) => sample.errors > 0) || failures.some(isLate);
}

function updateRoute(target, route, failures) {
  const samples = remember(route);
  const lately = samples.slice(-RATE);
  const rate = lately.reduce((sum, sample) => sum + sample.requests, 0) / Math.max(1, lately.length);
  const errors = Object.entries(route.errors || {}).map(([end, count]) => `${count} ${end}`);
  const hosts = [].concat(route.host || []).join(", ");
  twoLines(target.children[0], route.pattern, [hosts, route.module || route.files || "built in"].filter(Boolean).join(" · "));
  fill(target, [undefined, `${rate < 10 ? rate.toFixed(1) : Math.round(rate)}/s`, undefined, duration(route.p50),
    duration(route.p99), errors.join(", ") || "none", String(route.in_flight ?? "–"), String(route.queued ?? "–"),
    size(route.memory_peak)]);
  target.children[2].firstElementChild.replaceChildren(plot(samples, HISTORY));
  target.classList.toggle("failing", fails(route, samples, failures));
}

function showRoutes(routes, failures) {
  const update = (target, route) => updateRoute(target, route, failures);
  sync(byId("route-rows"), routes, { key: routeKey, create: () => row(ROUTE_CELLS), update });
  const known = new Set(routes.map(routeKey));
  for (const key of history.keys()) if (!known.has(key)) history.delete(key);
}

const FLIGHT_CELLS = [["Request"], ["Route"], ["Client"], ["Age", "number"], ["Phase"], ["CPU time", "number"],
  ["Memory", "number"], ["End it"]];

function flightRow(request, cancel) {
  const made = row(FLIGHT_CELLS);
  const button = element("button", "End");
  button.type = "button";
  button.setAttribute("aria-label", `End ${request.method} ${request.target}, ${request.id}`);
  button.addEventListener("click", () => {
    button.disabled = true;
    cancel(request.id).catch(() => { button.disabled = false; });
  });
  made.lastElementChild.replaceChildren(button);
  return made;
}

function showFlight(requests, cancel) {
  sync(byId("flight-rows"), requests, {
    key: (request) => request.id,
    create: (request) => flightRow(request, cancel),
    update: (target, request) => {
      twoLines(target.children[0], `${request.method} ${request.target}`, request.id);
      fill(target, [undefined, request.route, request.client, duration(request.age), request.phase,
        duration(request.cpu_time), size(request.memory)]);
    },
  });
  say(byId("flight-note"), requests.length ? "" : "There are none.");
}

/** A heading with a text below it, if there is a text. */
function block(title, text, name = "pre") {
  if (!text) return [];
  const made = element(name, text);
  if (name === "pre") made.tabIndex = 0;
  return [element("h3", title), made];
}

function failureDetails(failure) {
  const made = element("details");
  const summary = element("summary");
  summary.append(element("span", clock(failure.time)), " ", element("span", failure.end, "end"), " ",
    element("code", `${failure.method} ${failure.target}`), element("small", failure.reason));
  const phases = failure.phases || {};
  const times = [["in all", failure.took], ["queue", phases.queue], ["body", phases.reading], ["guest", phases.guest],
    ["CPU", failure.cpu_time]];
  const shown = times.filter(([, time]) => time > 0).map(([name, time]) => `${name} ${duration(time)}`);
  made.append(summary, ...block("What usually causes it", usualCause(failure), "p"),
    ...block("Request", `${failure.method} ${failure.target} ${failure.version}\nfrom ${failure.client}, id ${failure.id}`),
    ...block("Route and module", `${failure.route} ${failure.module}`, "p"),
    ...block("Status, times, memory", [`status ${failure.status}`, ...shown, `memory ${size(failure.memory)}`].join(", "), "p"),
    ...block("Standard error of the guest, its end", failure.stderr),
    ...block("Backtrace", failure.backtrace), ...block("Core dump", failure.coredump),
    ...block("Profile, for the Firefox Profiler", failure.profile));
  return made;
}

function showFailures(failures) {
  sync(byId("failures"), failures, { key: (failure) => failure.id, create: failureDetails, update: () => {} });
  say(byId("failures-note"), failures.length ? "" : "No request has failed.");
}

function showCertificates(certificates) {
  sync(byId("certificates"), certificates, {
    key: (certificate) => JSON.stringify([certificate.subject, certificate.not_after]),
    create: () => element("li"),
    update: (target, certificate) => {
      const days = Math.floor((new Date(certificate.not_after) - Date.now()) / 86400000);
      const end = Number.isNaN(days) ? "its end is not known"
        : days < 0 ? `it has ended, ${certificate.not_after}` : `it ends in ${counted(days, "day", "days")}, ${certificate.not_after}`;
      say(target, `${certificate.subject}: ${end}`);
      target.className = days < 0 ? "bad" : days < 15 ? "warn" : "";
    },
  });
  say(byId("certificates-note"), certificates.length ? "" : "There are none: no listener has TLS.");
}

function showReload(last) {
  const text = last ? `${clock(last.when)}: ${last.result}, generation ${last.generation} is in force` : "There was none since the start.";
  say(byId("reload"), text);
  byId("reload").className = last && last.result === "refused" ? "bad" : "";
  const report = (last && last.report) || "";
  byId("diagnostics").hidden = report === "";
  say(byId("diagnostics"), report);
}

/** How many routes are served while the others start, and the first of these. */
function startFacts(starting) {
  if (!starting) return [];
  const waiting = starting.not_ready;
  const named = waiting.slice(0, NAMED).map((route) => route.pattern).join(", ");
  const more = waiting.length > NAMED ? ` and ${waiting.length - NAMED} more` : "";
  return [["routes ready", `${starting.ready} of ${starting.ready + waiting.length}`], ["not ready", named + more]];
}

function showState(status) {
  say(byId("state"), status.reason ? `${status.state}: ${status.reason}` : status.state);
  byId("state").className = `badge ${status.state === "serving" && !status.reason ? "good" : "bad"}`;
  const totals = status.totals || {};
  const facts = [["version", status.version], ["generation", status.generation ?? "–"],
    ["up", duration(status.uptime_seconds)], ["requests", totals.requests ?? "–"],
    ["in flight", totals.in_flight ?? "–"], ["queue", totals.queued ?? "–"], ["at", (status.listeners || []).join(" ")], ...startFacts(status.starting)];
  sync(byId("facts"), facts, {
    key: ([name]) => name,
    create: ([name]) => {
      const made = element("div");
      made.append(element("dt", name), element("dd"));
      return made;
    },
    update: (target, [, value]) => say(target.lastElementChild, String(value)),
  });
}
