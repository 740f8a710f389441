/** The console: shows the view that the address names, to a person who is signed in. */
import { getToken, onSignedOut, signOut, whoIsSignedIn } from "../../static/session.js";
import { address, onAddress, query } from "./address.js";
import { evidenceView } from "./evidence_view.js";
import { logView } from "./log_view.js";
import { fault, make } from "./make.js";
import { readsView } from "./reads_view.js";
import { timeView } from "./time_view.js";
import { userView } from "./user_view.js";

/**
 * A view shows itself in its place. It stops when the signal says so: another view is shown then.
 * @typedef {(place: HTMLElement, query: Record<string, string>, signal: AbortSignal) => Promise<void>} View
 */

/** @type {Record<string, {title: string, view: View}>} */
const VIEWS = {
  log: { title: "Log", view: logView },
  user: { title: "One user", view: userView },
  time: { title: "Over time", view: timeView },
  evidence: { title: "Evidence", view: evidenceView },
  reads: { title: "Who has read", view: readsView },
};

const main = element("main");
const nav = element("main > nav");
const place = element("main > .view");
const status = element("main > [role=status]");
let current = new AbortController();
let shownView = "";
let leaving = false;

async function show() {
  current.abort();
  const { signal } = (current = new AbortController());
  const asked = query();
  const name = Object.hasOwn(VIEWS, asked.view ?? "") ? asked.view : "log";
  const { title, view } = VIEWS[name];
  let focused = "";
  try {
    await getToken();
    if (signal.aborted) return;
    delete main.dataset.signedOut;
    await greet();
    navigate(name);
    document.title = `${title} · Console`;
    main.setAttribute("aria-busy", "true");
    focused = document.activeElement?.id ?? "";
    // Each view gets a place of its own, so that one that was left late can't write into the next.
    const own = make("div", {});
    await view(own, asked, signal);
    if (signal.aborted) return;
    place.replaceChildren(own);
    settle(name, focused);
    status.textContent = `${title} is shown.`;
  } catch (error) {
    if (signal.aborted) return;
    place.replaceChildren(make("h2", {}, title), fault(error instanceof Error ? error.message : String(error)));
    settle(name, focused);
  } finally {
    if (!signal.aborted) main.removeAttribute("aria-busy");
  }
}

/** Another view begins at its heading. In the same view the focus stays where it was. @param {string} name @param {string} focused */
function settle(name, focused) {
  const kept = focused ? document.getElementById(focused) : null;
  if (shownView && shownView !== name) {
    const heading = place.querySelector("h2");
    if (heading) {
      heading.tabIndex = -1;
      heading.focus();
    }
    scrollTo(0, 0);
  } else if (kept) {
    kept.focus();
  } else if (shownView && (document.activeElement === document.body || !document.activeElement)) {
    place.focus();
  }
  shownView = name;
}

/** @param {string} name */
function navigate(name) {
  const links = Object.entries(VIEWS).map(([key, { title }]) => make("a", { href: address({ view: key }), "aria-current": key === name && "page" }, title));
  nav.replaceChildren(...links);
}

async function greet() {
  const header = element("main > header");
  if (header.querySelector(".signed-in")) return;
  const button = make("button", { type: "button", className: "plain", onclick: leave }, "Sign out");
  header.append(make("p", { className: "signed-in" }, make("span", {}, await whoIsSignedIn()), button));
}

async function leave() {
  leaving = true;
  try {
    await signOut();
  } finally {
    leaving = false;
    void show();
  }
}

function end() {
  current.abort();
  main.dataset.signedOut = "";
  element("main > header").querySelector(".signed-in")?.remove();
  place.replaceChildren();
  nav.replaceChildren();
  main.removeAttribute("aria-busy");
  status.textContent = shownView = "";
}

/** @param {string} selector @returns {HTMLElement} */
function element(selector) {
  const found = document.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`The page has no ${selector}.`);
  return found;
}

onAddress(show);
onSignedOut(() => {
  end();
  // A session that the service refused is over at once, and one that is being left when `leave` says so.
  if (!leaving) setTimeout(show);
});
void show();
