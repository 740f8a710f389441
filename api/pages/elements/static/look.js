/** The element's look. A page changes it through the custom properties and the parts that docs/people.md lists. */

const CSS = `
:host {
  --_ink: var(--notification-preferences-ink, light-dark(#171a20, #eceef2));
  --_quiet: var(--notification-preferences-quiet, light-dark(#555d6b, #a6aebb));
  --_line: var(--notification-preferences-line, light-dark(#e1e4ea, #30353f));
  --_off: var(--notification-preferences-off, light-dark(#7b8494, #8a93a2));
  --_accent: var(--notification-preferences-accent, light-dark(#2a56cf, #8fb0ff));
  --_knob: var(--notification-preferences-knob, light-dark(#ffffff, #14171d));
  --_good: var(--notification-preferences-good, light-dark(#1a6e3c, #74cf98));
  --_bad: var(--notification-preferences-bad, light-dark(#b3261e, #ff9b91));
  --_gap: var(--notification-preferences-gap, 1.15rem);
  display: block;
  color: var(--_ink);
  font: 1rem/1.5 var(--notification-preferences-font, inherit);
  text-align: start;
  overflow-wrap: break-word;
}
:host([hidden]) { display: none; }
[part="container"] { container-type: inline-size; }
*, ::before, ::after { box-sizing: border-box; }
[hidden] { display: none !important; }
h1, h2, h3, h4, h5, h6, p, ul, ol { margin: 0; padding: 0; font-size: inherit; font-weight: inherit; }
ul, ol { list-style: none; }
section + section { margin-block-start: calc(var(--_gap) * 2); }
.channel { font-size: 1.2rem; font-weight: 650; letter-spacing: -0.012em; line-height: 1.3; }
.channel + .description { margin-block-start: 0.15rem; }
.description, .reason { color: var(--_quiet); font-size: 0.9375rem; text-wrap: pretty; }
.toggles { margin-block-start: calc(var(--_gap) * 0.5); }
.toggle { display: flex; flex-wrap: wrap; gap: 0 1.25rem; align-items: flex-start; padding-block: var(--_gap); }
.toggle + .toggle { border-block-start: 1px solid var(--_line); }
.toggle:last-child { padding-block-end: 0; }
.words { flex: 1 1 0; min-width: min(9rem, 60%); }
.more { flex: 0 0 100%; }
.title { display: inline-block; font-weight: 600; cursor: pointer; }
.locked .title { cursor: default; }
.side { display: flex; flex: none; gap: 0.65rem; align-items: center; }
.state { min-width: 4.2em; color: var(--_quiet); font-size: 0.875rem; text-align: end; white-space: nowrap; }
[data-saved] .state { color: var(--_good); font-weight: 600; }
.reason { display: flex; gap: 0.45em; align-items: baseline; margin-block-start: 0.2rem; }
.lock { flex: none; width: 0.8em; height: 0.95em; fill: none; stroke: currentColor; stroke-width: 1.6; position: relative; inset-block-start: 0.1em; }
.lock rect { fill: currentColor; }
.fault { margin-block-start: 0.35rem; color: var(--_bad); font-size: 0.9375rem; font-weight: 500; }

[role="switch"] {
  position: relative; flex: none; width: 3rem; height: 1.75rem; margin: 0; padding: 0; appearance: none;
  background: var(--_off); border: 0; border-radius: 1em; font: inherit; cursor: pointer;
  transition: background-color 0.16s ease; -webkit-tap-highlight-color: transparent;
}
[role="switch"]::after { content: ""; position: absolute; inset: -0.5rem; } /* The target is 44 px high. */
[role="switch"][aria-checked="true"] { background: var(--_accent); }
[role="switch"][aria-disabled="true"] { background: var(--_quiet); opacity: 0.75; cursor: not-allowed; }
.knob {
  position: absolute; inset-block-start: 0.2rem; inset-inline-start: 0.2rem; width: 1.35rem; height: 1.35rem;
  background: var(--_knob); border-radius: 50%; box-shadow: 0 1px 2px rgb(0 0 0 / 25%); transition: inset-inline-start 0.16s ease;
}
[aria-checked="true"] > .knob { inset-inline-start: 1.45rem; }
[data-waiting] .knob { opacity: 0.8; }
:focus-visible { outline: 3px solid var(--_accent); outline-offset: 3px; border-radius: 0.35em; }
[role="switch"]:focus-visible { border-radius: 1em; }

details { margin-block-start: 0.4rem; }
summary { width: fit-content; color: var(--_quiet); font-size: 0.9375rem; cursor: pointer; min-height: 1.6rem; }
summary:hover { color: var(--_ink); }
.why > p { padding-block-start: 0.2rem; font-size: 0.9375rem; }
.history { margin-block-start: calc(var(--_gap) * 1.6); padding-block-start: var(--_gap); border-block-start: 1px solid var(--_line); }
.history > summary { font-weight: 600; color: var(--_ink); }
.changes { margin-block: 0.6rem; }
.changes > li { display: flex; flex-wrap: wrap; gap: 0 0.6em; padding-block: 0.45rem; font-size: 0.9375rem; }
.changes span { color: var(--_quiet); }
.changes b { font-weight: 600; }
.link, .again {
  min-height: 2.25rem; padding: 0.3rem 0.9rem; background: none; color: inherit; border: 1px solid var(--_off);
  border-radius: 0.5rem; font: inherit; font-size: 0.9375rem; font-weight: 600; cursor: pointer;
}
.notice { display: flex; flex-wrap: wrap; gap: 0.6rem 1rem; align-items: center; margin-block-end: var(--_gap); }
.loading { color: var(--_quiet); }
.unseen { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

/* By the width of the element itself, in the size of its text. */
@container (max-width: 29em) {
  .side { flex-direction: column-reverse; gap: 0.15rem; align-items: flex-end; }
  .state { min-width: 0; white-space: normal; }
}
@media (prefers-reduced-motion: reduce) {
  *, ::before, ::after { transition: none !important; }
}
@media (forced-colors: active) {
  [role="switch"] { background: Canvas; border: 1px solid ButtonText; forced-color-adjust: none; }
  [role="switch"] .knob { background: ButtonText; inset-block-start: calc(0.2rem - 1px); box-shadow: none; }
  [role="switch"][aria-checked="true"] { background: Highlight; border-color: Highlight; }
  [role="switch"][aria-checked="true"] .knob { background: HighlightText; }
  [role="switch"][aria-disabled="true"] { background: Canvas; border-color: GrayText; opacity: 1; }
  [role="switch"][aria-disabled="true"] .knob { background: GrayText; }
  :focus-visible { outline-color: Highlight; }
}
`;

/** @type {CSSStyleSheet | undefined} */
let sheet;

/** The style sheet, which all elements on a page share. Made by script, so a strict Content-Security-Policy allows it. */
export function look() {
  if (sheet === undefined) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
  }
  return sheet;
}
