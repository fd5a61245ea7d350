/*
 * main.js - the page: which days are shown, and keeping them true
 *
 *   load     asks for the days that are shown, and draws them
 *   follow   waits for the store's next change, for ever: also somebody
 *            else's, over another transport, is seen within a second
 */
import * as api from './api.js';
import { applyTexts, chooseLanguage, language, text } from './lang.js';
import { dayOf, fullDay, span, shortDay, toApi, weekOf, when } from './time.js';
import { draw, moveNow, showEvent } from './grid.js';
import * as form from './form.js';
import * as journey from './journey.js';
import * as files from './files.js';

const $ = id => document.getElementById(id);
const narrow = matchMedia('(max-width: 40rem)');
const state = { day: dayOf(new Date()), view: null, rev: 0, up: true, events: [] };

const view = () => state.view || (narrow.matches ? 'day' : 'week');
const days = () => view() === 'day' ? [state.day]
  : Array.from({ length: 7 }, (_, i) => dayOf(weekOf(state.day), i));

/* ---- what the reader is told ---------------------------------------------- */

let fading;
function say(sentence, label, action) {
  const b = document.createElement('button');
  clearTimeout(fading);
  $('toast').replaceChildren(sentence);
  b.textContent = label || text('dismiss');
  b.addEventListener('click', () => { $('toast').replaceChildren(); action?.(); });
  $('toast').append(b);
  fading = setTimeout(() => $('toast').replaceChildren(), action ? 15000 : 8000);
}

function banner(sentence) {
  $('banner').textContent = sentence || '';
  $('banner').hidden = !sentence;
}

/* A failure in words; the banner stays until something works again. */
function failed(e) {
  const sentence = e.kind === 'gone' ? text('gatewayGone')
    : e.status === 401 ? text('noToken')
    : e.status === 503 ? text('storeGone')(e.message) : e.message;
  if (e.kind === 'gone' || e.status === 401 || e.status === 503) banner(sentence);
  return sentence;
}

/* ---- drawing -------------------------------------------------------------- */

function render() {
  const d = days();
  $('range').textContent = view() === 'day' ? fullDay(d[0]) : span(d[0], d[6]);
  $('week').setAttribute('aria-pressed', view() === 'week');
  $('day').setAttribute('aria-pressed', view() === 'day');
  draw(d, state.events, { open: form.openEvent, create: form.openNew });
}

let newest = 0;
async function load(options) {
  const d = days(), mine = ++newest;
  try {
    const r = await api.list(toApi(d[0]), toApi(dayOf(d[d.length - 1], 1)), options);
    if (mine !== newest) return; /* a later one is under way */
    state.events = r.events;
    state.rev = Math.max(state.rev, r.rev);
    if (state.up) banner('');
  } catch (e) { failed(e); }
  if (mine === newest) render();
}

function go(day) {
  state.day = day;
  render();
  return load();
}

/* ---- following the store -------------------------------------------------- */

const rest = ms => new Promise(r => setTimeout(r, ms));

async function follow() {
  for (;;) {
    try {
      const r = await api.ask('GET', `changes?rev=${state.rev}&up=${state.up}`, undefined, { quiet: true });
      const back = r.up && !state.up;
      const changed = r.rev !== state.rev;
      Object.assign(state, { rev: r.rev, up: r.up });
      banner(r.up ? '' : text('storeGone')(r.why));
      if (back) say(text('back'));
      if (back || (changed && r.up)) await load({ quiet: true });
      if (back || !r.up) journey.refreshWays();
    } catch (e) {
      failed(e);
      if (e.status === 401) return; /* without the key nothing will change */
      state.up = false; /* so that the way back is noticed */
      await rest(1000);
    }
  }
}

/* ---- changes -------------------------------------------------------------- */

function saved(e) {
  state.rev = Math.max(state.rev, e.rev);
  state.events = state.events.filter(x => x.id !== e.id).concat(e);
  if (days().some(d => d < e.end && e.start < dayOf(d, 1))) render();
  else go(dayOf(e.start));
  say(text('saved')(e.title));
  showEvent(e.id);
}

function removed(e) {
  state.events = state.events.filter(x => x.id !== e.id);
  render();
  say(text('removed')(e.title), text('undo'), async () => {
    try {
      const again = await api.add({ title: e.title, start: toApi(e.start), end: toApi(e.end) });
      saved(again);
      say(text('restored')(e.title));
    } catch (f) { say(failed(f)); }
  });
}

/* ---- searching ------------------------------------------------------------ */

let typed;
async function search() {
  const wanted = $('search').value.trim().toLocaleLowerCase(language());
  let hits = [];
  if (wanted) {
    try {
      const all = await api.list(null, null, { quiet: true });
      if ($('search').value.trim().toLocaleLowerCase(language()) !== wanted) return;
      hits = all.events.filter(e => e.title.toLocaleLowerCase(language()).includes(wanted));
    } catch (e) { failed(e); }
  }
  $('found').replaceChildren(...hits.slice(0, 50).map(e => {
    const li = document.createElement('li'), b = document.createElement('button');
    b.textContent = `${e.title} · ${shortDay(e.start)}, ${when(e)}`;
    b.addEventListener('click', async () => { await go(dayOf(e.start)); showEvent(e.id); });
    li.append(b);
    return li;
  }));
  $('found').hidden = hits.length === 0;
  $('none').textContent = text('none');
  $('none').hidden = !wanted || hits.length > 0;
}

/* ---- the controls --------------------------------------------------------- */

function openNew() {
  const now = new Date();
  const day = days().find(d => d.getTime() === dayOf(now).getTime()) || days()[0];
  const hour = Math.min(23, now.getHours() + 1);
  form.openNew(new Date(day.getFullYear(), day.getMonth(), day.getDate(), hour),
    new Date(day.getFullYear(), day.getMonth(), day.getDate(), hour + 1));
}

function controls() {
  const step = n => go(dayOf(state.day, view() === 'day' ? n : 7 * n));
  const keys = { n: openNew, t: () => go(dayOf(new Date())), '/': () => $('search').focus(),
    ArrowLeft: () => step(-1), ArrowRight: () => step(1) };

  $('before').addEventListener('click', () => step(-1));
  $('after').addEventListener('click', () => step(1));
  $('today').addEventListener('click', () => go(dayOf(new Date())));
  $('add').addEventListener('click', openNew);
  for (const v of ['week', 'day'])
    $(v).addEventListener('click', () => { state.view = v; go(state.day); });
  narrow.addEventListener('change', () => go(state.day));
  $('search').addEventListener('input', () => { clearTimeout(typed); typed = setTimeout(search, 200); });
  $('language').value = language();
  $('language').addEventListener('change', () => {
    chooseLanguage($('language').value);
    render();
    journey.redraw();
  });
  addEventListener('keydown', e => {
    const busy = form.isOpen() || e.target.closest?.('input, select, textarea');
    if (busy || e.ctrlKey || e.altKey || e.metaKey || !keys[e.key]) return;
    e.preventDefault();
    keys[e.key]();
  });
  setInterval(moveNow, 30000);
}

applyTexts();
controls();
form.prepare({ saved, removed, failed });
journey.start(e => say(failed(e)));
files.start({ say, failed, changed: () => load() });
journey.drawJourney();
render();
load().then(() => { journey.refreshWays(); follow(); });
