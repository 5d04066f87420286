// When is what asked for? Once a second, while the tab is seen.

const INTERVAL = 1000;
const PATIENCE = 5000;
const TOKEN = "wagi.token";

/** The token of this tab, if one was needed. */
let token = sessionStorage.getItem(TOKEN);
let timer;
let isLooking = false;

/** The listener wants a token, or another one. */
class TokenNeeded extends Error {}

async function ask(method, path) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const signal = AbortSignal.timeout(PATIENCE);
  const response = await fetch(path, { method, headers, signal, cache: "no-store", credentials: "omit" });
  if (response.status === 401) throw new TokenNeeded();
  return response;
}

async function askForJson(path) {
  const response = await ask("GET", path);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${(await response.text()).slice(0, 200)}`);
  return response.json();
}

async function cancel(id) {
  const response = await ask("DELETE", `requests/${encodeURIComponent(id)}`);
  say(byId("said"), response.ok ? `Request ${id} was ended.` : `Request ${id} had ended already.`);
  await look();
}

function showProblem(text) {
  byId("problem").hidden = !text;
  say(byId("problem"), text);
}

function showLogin() {
  if (byId("login").hidden) {
    byId("login").hidden = false;
    byId("main").hidden = true;
    byId("token").focus();
  }
  showProblem(token ? "The token is not the right one." : "");
  token = null;
  sessionStorage.removeItem(TOKEN);
}

async function show() {
  const status = await askForJson("status");
  // While the server starts there are no requests.
  const requests = status.routes ? await askForJson("requests") : { in_flight: [], failed: [] };
  byId("login").hidden = true;
  byId("main").hidden = false;
  showState(status);
  showReload(status.last_reload);
  showRoutes(status.routes || [], requests.failed);
  showFlight(requests.in_flight, cancel);
  showFailures(requests.failed);
  showCertificates(status.certificates || []);
  showProblem("");
}

async function look() {
  if (isLooking || document.hidden) return;
  isLooking = true;
  clearTimeout(timer);
  try {
    await show();
    timer = setTimeout(look, INTERVAL);
  } catch (error) {
    if (error instanceof TokenNeeded) showLogin();
    else {
      showProblem(`There is no answer: ${error.message}. What you see is old.`);
      timer = setTimeout(look, INTERVAL);
    }
  } finally {
    isLooking = false;
  }
}

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  sessionStorage.setItem(TOKEN, token);
  byId("token").value = "";
  look();
});
document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  look();
});
look();
