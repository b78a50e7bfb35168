"""The look of the HTML report."""

STYLE = """\
:root { color-scheme: light dark; --ink: #1c2024; --quiet: #60646c; --paper: #fff; --line: #e4e6ea; --track: #eceef1;
  --go: #18794e; --tight: #ad5700; --no: #c62a2f; --unknown: #5b5bd6; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #edeef0; --quiet: #b0b4ba; --paper: #16181b; --line: #2e3135; --track: #2a2d31;
    --go: #3dd68c; --tight: #ffa057; --no: #ff9592; --unknown: #b1a9ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 52rem; margin: 0 auto; padding: 2rem 1.25rem 3rem; }
header { border-left: 6px solid var(--quiet); padding: .25rem 0 .25rem 1rem; }
header.go { border-color: var(--go); } header.tight { border-color: var(--tight); }
header.no-go { border-color: var(--no); } header.unknown { border-color: var(--unknown); }
h1 { font-size: 1.35rem; line-height: 1.3; margin: .35rem 0 0; font-weight: 600; }
h2 { font-size: .95rem; margin: 2rem 0 .5rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: 1.5rem 0 0; }
dt, footer, thead th { color: var(--quiet); } dd { margin: 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); font-weight: 400; }
td.gauge { width: 30%; }
@media (max-width: 36rem) { td.gauge { display: none; } th, td { padding-right: .5rem; } }
.bar { height: .6rem; border-radius: .3rem; background: var(--track); overflow: hidden; }
.bar span { display: block; height: 100%; background: var(--quiet); min-width: 2px; }
.bar.go span { background: var(--go); } .bar.tight span { background: var(--tight); }
.bar.no-go span { background: var(--no); } .bar.unknown span { background: var(--unknown); }
.badge { font-size: .75rem; font-weight: 700; letter-spacing: .03em; white-space: nowrap; }
.badge.go { color: var(--go); } .badge.tight { color: var(--tight); }
.badge.no-go { color: var(--no); } .badge.unknown { color: var(--unknown); }
ul { margin: .5rem 0; padding-left: 1.1rem; }
details { margin-top: 2rem; } summary { cursor: pointer; font-weight: 600; }
footer { margin-top: 2.5rem; font-size: .85rem; }
"""
