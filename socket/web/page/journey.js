/*
 * journey.js - what just happened, and what each way costs
 *
 * The gateway sends with each answer where the request has been: its own
 * clock before and after, and the three stamps that the store puts into its
 * reply. All are CLOCK_MONOTONIC of one machine, so they can be subtracted.
 */
import * as api from './api.js';
import { $, make } from './dom.js';
import { about, text } from './lang.js';

let last = null, ways = null, racing = false, hooks = {}; /* failed(failure), chosen() */

function time(ns) {
  for (const unit of ['ns', 'µs', 'ms']) {
    if (ns < 999.5) return `${ns.toPrecision(3)} ${unit}`;
    ns /= 1000;
  }
  return `${ns.toFixed(2)} s`;
}

function place(name, pid) {
  const p = make('li', { className: 'place' }, text(name));
  if (pid) p.append(' ', make('small', {}, text('pid')(pid)));
  return p;
}

/* As long as it lasted; dashed where that is beyond `most`. */
function bar(ns, most) {
  const b = make('span', { className: ns > most ? 'bar off' : 'bar' });
  b.style.width = `${Math.min(100, Math.max(0.3, ns / most * 100))}%`;
  return b;
}

const hop = (label, ns, most) => make('li', { className: 'hop' },
  make('span', {}, make('span', {}, label), make('span', {}, time(ns))), bar(ns, most));

export function drawJourney() {
  $('asked').textContent = last ? text('asked')(last.what, time(last.ms * 1e6)) : '';
  $('hops').replaceChildren();
  $('sizes').textContent = '';
  if (!last) return;
  const j = last.journey, whole = last.ms * 1e6;
  const known = j.hops.reduce((sum, h) => sum + h.ns, 0);
  const most = Math.max(...j.hops.map(h => h.ns)); /* without HTTP, which dwarfs them */
  const out = [place('browser'), hop(text('hopHttp'), Math.max(0, whole - known), most), place('gateway', j.gateway)];

  for (const h of j.hops) {
    const over = /there|trips|back/.test(h.hop) ? `${j.transport}: ` : '';
    out.push(hop(over + text('hop')[h.hop], h.ns, most));
    if (/there|trips/.test(h.hop)) out.push(place('store', j.store));
    if (h.hop === 'journal') out.push(place('journal'), place('store', j.store));
    if (/back|trips/.test(h.hop)) out.push(place('gateway', j.gateway));
  }
  $('hops').replaceChildren(...out);
  $('sizes').textContent = text('sizes')(j.sent, j.received, j.trips, j.wait);
}

let newest = 0; /* an older answer may come later */
async function choose(name) {
  newest++;
  try {
    ways = await api.ask('PUT', 'transport', { name });
    newest++;
    hooks.chosen();
  } catch (e) { hooks.failed(e); }
  drawWays();
}

function way(w, most) {
  const chosen = w.name === ways.current;
  const input = make('input', { type: 'radio', name: 'way', value: w.name,
    checked: chosen, disabled: !w.usable, onchange: () => choose(w.name) });
  const label = make('label', { className: chosen ? 'way chosen' : 'way', title: w.blurb },
    make('span', {}, input, ` ${w.name}`));
  if (!w.usable) label.append(make('span', { className: 'why' }, `${text('notUsable')}: ${w.why}`));
  else if (w.count)
    label.append(make('span', { className: 'bars' }, bar(w.p50, most), bar(w.p99, most)),
      make('span', { className: 'times' }, `p50 ${time(w.p50)}`, make('br'), `p99 ${time(w.p99)}`));
  return label;
}

function drawWays() {
  const list = ways ? ways.ways : [];
  /* One scale for all, so that they can be compared. */
  const most = 4 * Math.max(...list.map(w => w.count && w.p50));
  $('race').disabled = racing || !list.some(w => w.usable);
  const focused = document.activeElement?.name === 'way';
  $('ways').replaceChildren(...list.map(w => way(w, most)));
  if (focused) $('ways').querySelector(':checked')?.focus();
}

export async function refreshWays() {
  const mine = ++newest;
  try {
    const r = await api.ask('GET', 'transports', undefined, { quiet: true });
    if (mine !== newest) return;
    ways = r;
  } catch { return; }
  about.lab = ways.command;
  drawWays();
}

/* In turn, not one after another: a busy moment then hits all of them. */
async function race() {
  racing = true;
  drawWays();
  try {
    for (let i = 1; i <= 50; i++) {
      for (const w of ways.ways.filter(x => x.usable))
        await api.ask('GET', `ping?via=${w.name}`);
      $('race-state').textContent = `${i} …`;
      if (i % 10 === 0) await refreshWays();
    }
  } catch (e) { hooks.failed(e); }
  $('race-state').textContent = '';
  racing = false;
  drawWays();
}

export function start(h) {
  hooks = h;
  api.onJourney((what, journey, ms) => {
    last = { what, journey, ms };
    drawJourney();
    clearTimeout(start.soon);
    start.soon = setTimeout(refreshWays, 150);
  });
  $('race').onclick = race;
}
export const redraw = () => { drawJourney(); drawWays(); };
