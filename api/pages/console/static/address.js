/**
 * What the page shows stands in its address: a copied address shows the same, and the back button goes back.
 *
 * @typedef {Record<string, string | null | undefined>} Query
 */

let changed = () => {};

/** The query of the present address. */
export const query = () => Object.fromEntries(new URLSearchParams(location.search));

/** The address of a view. @param {Query} wanted */
export function address(wanted) {
  const given = Object.entries(wanted).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}

/** Shows another view. `replace` leaves no step to go back to. @param {Query} wanted @param {{replace?: boolean, quietly?: boolean}} [how] */
export function go(wanted, { replace = false, quietly = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", address(wanted));
  if (!quietly) changed();
}

/** Calls the page's one listener when the address has changed, by a link, by the page or by the back button. @param {() => void} listener */
export function onAddress(listener) {
  changed = listener;
  addEventListener("popstate", listener);
  addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || link.download || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || url.pathname !== location.pathname || !url.search) return;
    event.preventDefault();
    go(Object.fromEntries(url.searchParams));
  });
}
