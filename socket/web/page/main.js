/*
 * main.js - the page: which days are shown, and keeping them true
 *
 *   load     asks for the days that are shown, and draws them
 *   follow   waits for the store's next change, for ever: also somebody
 *            else's, over another transport, is seen within a second
 */
import * as api from './api.js';
import { $, make } from './dom.js';
import { applyTexts, chooseLanguage, inWords, language, text } from './lang.js';
import { dayOf, fullDay, moment, sameDay, span, toApi, weekOf, whenDay } from './time.js';
import { draw, showEvent } from './grid.js';
import * as form from './form.js';
import * as journey from './journey.js';
import * as files from './files.js';

const narrow = matchMedia('(max-width: 40rem)');
const state = { day: dayOf(new Date()), view: null, rev: 0, up: true, events: [] };

const view = () => state.view || (narrow.matches ? 'day' : 'week');
const days = () => view() === 'day' ? [state.day]
  : Array.from({ length: 7 }, (_, i) => dayOf(weekOf(state.day), i));
const endOf = d => dayOf(d.at(-1), 1);
const isIn = (d, e) => d[0] < e.end && e.start < endOf(d);

/* ---- what the reader is told ---- */

let fading; /* what has to be read in peace stays; so does what has the focus */
function fade() {
  if ($('toast').contains(document.activeElement)) fading = setTimeout(fade, 1000);
  else $('toast').replaceChildren();
}

function say(sentence, label, action, stays) {
  const onclick = () => { $('toast').replaceChildren(); action?.(); };
  clearTimeout(fading);
  $('toast').replaceChildren(sentence, make('button', { onclick }, label || text('dismiss')));
  if (!stays) fading = setTimeout(fade, action ? 15000 : 8000);
}

/* What is wrong, as a function: said anew in another language. */
let trouble;
function banner(t) {
  trouble = t;
  $('banner').textContent = t?.() || '';
  $('banner').hidden = !t;
}

/* A failure in words. Where nothing works the banner stays until something
 * does; when that is, the question for changes, asked anew, says. */
let question;
function failed(e) {
  if (['no-gateway', 'no-key', 'unreachable'].includes(e.code)) {
    banner(() => inWords(e));
    state.up = false;
    question?.abort();
  }
  return inWords(e);
}

/* ---- drawing ---- */

function render() {
  const d = days(), range = view() === 'day' ? fullDay(d[0]) : span(d[0], d[6]);
  if ($('range').textContent !== range) $('range').textContent = range; /* it is read aloud */
  for (const v of ['week', 'day']) $(v).setAttribute('aria-pressed', view() === v);
  draw(d, state.events.filter(e => isIn(d, e)),
    { open: form.openEvent, create: form.openNew, known: state.from <= d[0] && endOf(d) <= state.to });
}

/* Did it go well? If a later one is under way: does that? */
let newest = 0, underWay;
const load = options => (underWay = fetchDays(options));
async function fetchDays(options) {
  const d = days(), mine = ++newest;
  try {
    const r = await api.list(toApi(d[0]), toApi(endOf(d)), options);
    if (mine !== newest) return underWay;
    /* Asked before something that we have saved meanwhile. */
    if (r.rev < state.rev && !options?.again) return load({ ...options, again: true });
    Object.assign(state, { events: r.events, from: d[0], to: endOf(d) });
    state.rev = Math.max(state.rev, r.rev);
    if (state.up) banner();
    render();
    if ($('search').value) search();
    return true;
  } catch (e) {
    failed(e);
    return mine !== newest && underWay;
  }
}

function go(day) {
  state.day = day;
  render();
  return load();
}

/* ---- following the store ---- */

const rest = ms => new Promise(r => setTimeout(r, ms));
let stale = false; /* what is shown isn't what the store has */
const NEVER = 1e15; /* no store comes to this revision */

async function step() {
  const known = stale ? NEVER : state.rev;
  question = new AbortController();
  const r = await api.ask('GET', `changes?rev=${known}&up=${state.up}`, undefined, { quiet: true, signal: question.signal });
  const back = r.up && !state.up;
  if (back || !r.up) journey.refreshWays();
  stale = stale || back || r.rev !== state.rev;
  Object.assign(state, { rev: r.rev, up: r.up });
  if (!r.up) banner(() => text('unreachable')(r.why));
  else if (stale) stale = !await load({ quiet: true });
  else banner();
  if (back && !stale) {
    if (!$('toast').firstChild) say(text('back')); /* Undo may stand there */
    form.goOn(text('back'));
  }
  if (stale) await rest(500); /* over this way it isn't reached */
}

/* A browser opens six connections to one place: a tab that nobody sees would
 * keep one of them. */
async function follow() {
  addEventListener('visibilitychange', () => question?.abort());
  for (;;) {
    while (document.hidden) await new Promise(r => addEventListener('visibilitychange', r, { once: true }));
    try { await step(); } catch (e) {
      if (e.name === 'AbortError') continue;
      failed(e);
      /* Without the key nothing will change. */
      await (e.code === 'no-key' ? api.nextKey() : rest(500));
    }
  }
}

/* ---- changes ---- */

/* It is drawn at once. The revision is taken only if it is the next one: else
 * somebody else's change, which we haven't seen, lies between. */
async function saved(e) {
  if (e.rev === state.rev + 1) state.rev = e.rev;
  /* Else we know already what became of it. */
  if (e.rev >= state.rev || stale) state.events = state.events.filter(x => x.id !== e.id).concat(e);
  say(text('saved')(e.title));
  if ($('search').value) search();
  if (isIn(days(), e)) render();
  else await go(dayOf(e.start));
  showEvent(e.id);
}

/* Undo may fail as well, and is then offered again; its token sees to it that
 * the event comes back once. */
function removed(e) {
  const again = { title: e.title, start: toApi(e.start), end: toApi(e.end), token: api.token() };
  const undo = async () => {
    try {
      saved(await api.add(again));
    } catch (f) { say(failed(f), text('undo'), undo, true); }
  };
  state.events = state.events.filter(x => x.id !== e.id);
  render();
  load({ quiet: true }); /* an older answer would bring it back */
  say(text('removed')(e.title), text('undo'), undo);
  $('toast').lastChild.focus();
}

/* ---- searching ---- */

let typed;
const asked = () => $('search').value.trim().toLocaleLowerCase(language());
async function search() {
  const wanted = asked();
  let hits = [];
  if (wanted) {
    try {
      const all = await api.list(0, 0, { quiet: true });
      /* Who is choosing from it isn't disturbed. */
      if (asked() !== wanted || $('found').contains(document.activeElement)) return;
      const now = new Date(); /* what is past comes last */
      hits = all.events.filter(e => e.title.toLocaleLowerCase(language()).includes(wanted))
        .sort((a, b) => (a.end < now) - (b.end < now));
    } catch (e) { return failed(e); } /* what was found stays */
  }
  const show = e => make('button', { onclick: async () => { await go(dayOf(e.start)); showEvent(e.id); } },
    `${e.title} · ${whenDay(e)}`);
  $('found').replaceChildren(...hits.slice(0, 50).map(e => make('li', {}, show(e))));
  $('found').hidden = hits.length === 0;
  $('none').textContent = hits.length ? `${text('found')}: ${hits.length}` : text('none');
  $('none').hidden = !wanted;
}

/* ---- files ---- */

/* What came in may be elsewhere. If nothing is in sight, the next event of all
 * is shown, else the last. */
async function cameIn(n) {
  if (!await load() || !n || state.events.length) return;
  const { events } = await api.list(0, 0, { quiet: true });
  const e = events.find(x => x.end > new Date()) || events.at(-1);
  if (e) go(dayOf(e.start));
}

/* ---- the controls ---- */

function openNew() {
  const now = new Date();
  const day = days().find(d => sameDay(d, now)) || days()[0];
  const next = Math.min(23, now.getHours() + 1) * 60;
  form.openNew(moment(day, next), moment(day, next + 60));
}

function controls() {
  const today = () => go(dayOf(new Date()));
  const move = n => go(dayOf(state.day, view() === 'day' ? n : 7 * n));
  const keys = { n: openNew, t: today, '/': () => $('search').focus(),
    ArrowLeft: () => move(-1), ArrowRight: () => move(1) };

  $('before').onclick = () => move(-1);
  $('after').onclick = () => move(1);
  $('today').onclick = today;
  $('add').onclick = openNew;
  for (const v of ['week', 'day'])
    $(v).onclick = () => { state.view = v; go(state.day); };
  narrow.addEventListener('change', () => go(state.day));
  $('search').oninput = () => { clearTimeout(typed); typed = setTimeout(search, 200); };
  /* Who speaks to the computer needs none. */
  $('keys').checked = !localStorage.getItem('ipclab-no-keys');
  $('keys').onchange = () => localStorage.setItem('ipclab-no-keys', $('keys').checked ? '' : 'none');
  $('language').value = language();
  $('language').onchange = () => {
    chooseLanguage($('language').value);
    banner(trouble);
    render();
    search();
    journey.redraw();
  };
  addEventListener('keydown', e => {
    const key = e.key.replace(/^[NT]$/, k => k.toLowerCase());
    const busy = form.isOpen() || e.target.closest?.('input, select');
    if (!$('keys').checked || busy || e.ctrlKey || e.altKey || e.metaKey || !keys[key]) return;
    e.preventDefault();
    keys[key]();
  });
  addEventListener('beforeunload', e => { if (form.isOpen()) e.preventDefault(); });
  /* Now moves on, and at midnight today does. */
  setInterval(async () => { await api.held; render(); }, 30000);
}

/* Asked first; the empty grid is drawn only if there is time for it. */
const first = load();
const empty = setTimeout(render, 250);
applyTexts();
controls();
form.prepare({ saved, removed, failed, say });
journey.start({ failed: e => say(failed(e)), chosen: () => load({ quiet: true }) });
files.start({ say, failed, cameIn });
journey.drawJourney();
first.then(ok => {
  clearTimeout(empty);
  if (!ok) render();
  stale = !ok;
  journey.refreshWays();
  follow();
});
