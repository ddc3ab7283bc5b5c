"""The page's one style sheet; its colours are checked for contrast in light and in dark."""

from __future__ import annotations

CSS = """
:root {
  --ground: #fbfaf7; --raised: #ffffff; --ink: #1d1c1a; --quiet: #5f5c55; --line: #dedad1;
  --accent: #1f5fa8; --held: #8a4b08; --bad: #a3261d;
  --ok: #1f5fa8; --r0: #c26f1c; --r1: #8a6fc2; --r2: #2f8f83; --r3: #c2557f; --r4: #8c7a1f; --r5: #85817a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #171614; --raised: #201f1c; --ink: #ece9e2; --quiet: #a9a498; --line: #38352f;
    --accent: #79aee8; --held: #e0a458; --bad: #f0877c;
    --ok: #5f9de0; --r0: #d08a3c; --r1: #a38bdb; --r2: #4fb0a3; --r3: #d9779c; --r4: #b8a440; --r5: #8f8a80;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 17px/1.55 "Iowan Old Style", "Palatino Linotype", Palatino, Charter, Georgia, serif; }
main { max-width: 46rem; margin: 0 auto; padding: 3.5rem 1.25rem 5rem; }
h1, h2, h3 { line-height: 1.25; font-weight: 600; text-wrap: balance; }
h1 { font-size: 2.3rem; margin: 0 0 1rem; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 1.35rem; margin: 0 0 1rem; padding-top: 1.1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 0 0 .6rem; }
section { margin-top: 3.2rem; }
p { margin: 0 0 .9rem; overflow-wrap: anywhere; }
.eyebrow, .path, .told, .about, .empty, .mark, caption, th, td, .legend, summary, dt, svg text, .fate,
figcaption, .note, .warning { font-family: system-ui, -apple-system, "Segoe UI", sans-serif; }
.eyebrow { color: var(--quiet); font-size: .85rem; margin-bottom: .4rem; }
.lead { font-size: 1.15rem; }
.outcome { border-left: 3px solid var(--accent); padding-left: 1rem; }
.about, .empty, .told, .mark, figcaption, .path { color: var(--quiet); font-size: .83rem; line-height: 1.5; }
.path { overflow-wrap: anywhere; }
.note, .warning { font-size: .9rem; color: var(--bad); }
.wide { overflow-x: auto; margin-bottom: 1rem; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td { text-align: left; vertical-align: bottom; padding: .5rem .9rem .5rem 0;
  border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; }
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--quiet); font-weight: 500; }
tbody th { font-weight: 400; min-width: 9rem; }
.number { text-align: right; white-space: nowrap; }
#costs table, #costs .wide { max-width: 34rem; }
.funnel, .legend, .verdicts { list-style: none; margin: 0 0 1rem; padding: 0; }
.funnel li { margin: 0 0 1.1rem; }
.funnel .path { color: var(--ink); }
.funnel svg { display: block; width: 100%; height: 14px; margin: .3rem 0; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; font-size: .83rem; }
.legend li { display: flex; align-items: center; gap: .4rem; }
.swatch { width: 12px; height: 12px; }
.ok { fill: var(--ok); } .r0 { fill: var(--r0); } .r1 { fill: var(--r1); } .r2 { fill: var(--r2); }
.r3 { fill: var(--r3); } .r4 { fill: var(--r4); } .r5 { fill: var(--r5); }
figure { margin: 1.8rem 0 0; }
figure svg { display: block; width: 100%; height: auto; margin-bottom: .5rem; overflow: visible; }
svg text { fill: var(--quiet); font-size: 12px; font-variant-numeric: tabular-nums; }
svg .label { fill: var(--ink); font-size: 13px; }
.grid { stroke: var(--line); stroke-width: 1; }
.curve { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; }
.curve.held { stroke: var(--held); stroke-width: 1.5; }
.error { stroke: var(--held); stroke-width: 1.5; opacity: .55; }
.point { fill: var(--ground); stroke: var(--held); stroke-width: 2; }
.point.selected { fill: var(--held); }
details { padding: .1rem 0 .3rem; }
summary { cursor: pointer; font-size: .83rem; color: var(--quiet); }
summary:focus-visible, .wide:focus-visible, pre:focus-visible { outline: 2px solid var(--accent);
  outline-offset: 2px; }
.fate { color: var(--bad); font-size: .83rem; margin-left: .6rem; }
details > :not(summary) { margin-left: 1.1rem; }
details > .path { margin-top: .4rem; } article > .path { margin: -.3rem 0 .5rem; }
h3 { overflow-wrap: anywhere; }
blockquote { margin: 0 0 .7rem; padding: .1rem 0 .1rem .9rem; border-left: 2px solid var(--line);
  white-space: pre-wrap; overflow-wrap: anywhere; font-size: .95rem; }
details > .verdicts { margin-left: 1.1rem; }
.verdicts { font-size: .88rem; } .verdicts li { margin: .2rem 0; overflow-wrap: anywhere; }
article { margin: 0 0 1.9rem; }
.sides { display: grid; grid-template-columns: repeat(3, 1fr); gap: 1.1rem; margin: 0; }
dt { color: var(--quiet); font-size: .83rem; } dd { margin: .2rem 0 0; font-size: .93rem; }
dd p { margin: 0 0 .2rem; white-space: pre-wrap; }
pre { background: var(--raised); border: 1px solid var(--line); border-radius: 4px; padding: 1rem;
  overflow-x: auto; font: .8rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
@media (max-width: 34rem) {
  body { font-size: 16px; } main { padding-top: 2rem; } h1 { font-size: 1.8rem; }
  .sides { grid-template-columns: 1fr; gap: .7rem; }
  figure svg text { font-size: 20px; } figure svg .label { font-size: 21px; }
}
@media print {
  :root { --ground: #fff; --raised: #fff; --ink: #000; --quiet: #444; --line: #bbb; --accent: #1f5fa8;
    --held: #8a4b08; --bad: #a3261d; }
  main { max-width: none; padding: 0; } article, .funnel li, figure, tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; } pre { white-space: pre-wrap; } .wide { overflow: visible; }
  details::details-content { content-visibility: visible; block-size: auto; }
  rect, polyline, circle { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
