/*
 * grid.js - the timetable as columns of days
 *
 *   draw      days, hours and events, anew each time something has changed
 *   segment   an event over midnight becomes one piece a day
 *   pack      overlapping pieces side by side: each cluster of them gets as
 *             many lanes as stand at the same time; where the next lanes are
 *             free, a piece is as wide as they are, too
 *
 * The same DOM is read aloud and printed: a list of buttons for each day.
 */
import { $, make } from './dom.js';
import { text } from './lang.js';
import { MINUTES, clock, clockOf, dayName, dayOf, fullDay, hourName, moment, sameDay, when } from './time.js';

const SNAP = 15;  /* minutes, when drawing an event with the mouse */
const LEAST = 22; /* minutes: the height of one line */
const box = $('grid');
let scrolled = 0; /* how many days were drawn when the place was chosen */

/* The piece of an event on one day, by the clock; null = none. */
function segment(e, day) {
  const next = dayOf(day, 1);
  if (e.end <= day || e.start >= next) return null;
  const from = e.start < day ? 0 : clockOf(e.start);
  let to = e.end >= next ? MINUTES : clockOf(e.end);
  /* The hour that occurs twice in autumn: as long as it really lasts. */
  if (to <= from) to = Math.min(MINUTES, from + (e.end - e.start) / 60000);
  return { event: e, from: Math.min(from, MINUTES - LEAST), to: Math.max(to, from + 1), before: e.start < day, after: e.end > next };
}

/* Gives each piece its .lane, how many it has (.wide) of how many (.lanes),
 * and the events at the same time (.rivals). They come ordered by start. */
function pack(pieces) {
  let cluster = [], until = -1;
  const bottom = p => Math.max(p.to, p.from + LEAST);
  const close = () => {
    const lanes = Math.max(0, ...cluster.map(p => p.lane + 1));
    for (const p of cluster) {
      const beside = cluster.filter(q => q.lane > p.lane && q.from < bottom(p) && bottom(q) > p.from);
      p.lanes = lanes;
      p.wide = Math.min(lanes, ...beside.map(q => q.lane)) - p.lane;
      p.rivals = pieces.map(q => q.event).filter(e => e !== p.event && e.start < p.event.end && p.event.start < e.end);
    }
    cluster = [];
    until = -1;
  };
  for (const p of pieces) {
    if (p.from >= until) close();
    const taken = new Set(cluster.filter(q => bottom(q) > p.from).map(q => q.lane));
    p.lane = 0;
    while (taken.has(p.lane)) p.lane++;
    cluster.push(p);
    until = Math.max(until, bottom(p));
  }
  close();
}

/* "At the same time: A, B, C ..." */
function rivals(list) {
  const names = list.slice(0, 3).map(e => e.title).join(', ');
  return `${text('overlaps')} ${names}${list.length > 3 ? ' …' : ''}`;
}

function eventButton(p, open) {
  const e = p.event;
  const b = make('button', { className: 'event', onclick: () => open(e) },
    make('b', {}, e.title),
    `${p.before ? '…' : clock(e.start)} – ${p.after ? '…' : clock(e.end)}`);
  b.dataset.id = e.id;
  b.style.top = `${p.from / MINUTES * 100}%`;
  b.style.height = `${(p.to - p.from) / MINUTES * 100}%`;
  b.style.left = `${p.lane / p.lanes * 100}%`;
  b.style.width = `calc(${p.wide / p.lanes * 100}% - 2px)`;
  b.classList.toggle('in-conflict', p.rivals.length > 0);
  if (p.to - p.from > 300) b.classList.add('long');
  if (p.to - p.from < 45) b.classList.add('short');
  if (p.wide < p.lanes) b.classList.add('slim');
  b.title = `${e.title}\n${when(e)}`;
  if (p.rivals.length) b.title += `\n${rivals(p.rivals)}`;
  return make('li', {}, b);
}

/* Draw with the mouse or a pen; a finger scrolls, and its tap means one hour. */
function drawable(column, day, create) {
  const at = ev => {
    const r = column.getBoundingClientRect();
    const m = (ev.clientY - r.top) / r.height * MINUTES;
    return Math.max(0, Math.min(MINUTES, Math.round(m / SNAP) * SNAP));
  };

  column.addEventListener('pointerdown', ev => {
    if (ev.target.closest('.event') || ev.button !== 0 || ev.pointerType === 'touch') return;
    const first = at(ev), draft = make('div', { className: 'draft' });
    const over = new AbortController(), { signal } = over;
    let last = first;
    const show = () => {
      draft.style.top = `${Math.min(first, last) / MINUTES * 100}%`;
      draft.style.height = `${Math.abs(last - first) / MINUTES * 100}%`;
    };
    const move = m => { last = at(m); show(); };
    const done = m => {
      const from = Math.min(first, last), to = Math.max(first, last);
      over.abort();
      draft.remove();
      if (m.type !== 'pointerup') return;
      create(moment(day, from), moment(day, to > from ? to : from + 60));
    };
    ev.preventDefault();
    column.append(draft);
    column.setPointerCapture(ev.pointerId);
    column.addEventListener('pointermove', move, { signal });
    column.addEventListener('pointerup', done, { signal });
    column.addEventListener('pointercancel', done, { signal });
    addEventListener('keydown', k => { if (k.key === 'Escape') done(k); }, { signal });
  });
  column.addEventListener('click', ev => {
    if (ev.pointerType !== 'touch' || ev.target.closest('.event')) return;
    const m = Math.floor(at(ev) / 60) * 60;
    create(moment(day, m), moment(day, m + 60));
  });
}

function axis() {
  const a = make('div', { className: 'axis', ariaHidden: 'true' });
  for (let h = 1; h < 24; h++) {
    const s = make('span', {}, hourName(new Date(2026, 0, 1, h)));
    s.style.top = `${h / 24 * 100}%`;
    a.append(s);
  }
  return a;
}

/* `events` of these days, if they are `known`; open(event) and
 * create(start, end) are called. */
export function draw(days, events, { open, create, known }) {
  const today = new Date(), head = [], columns = [];
  const focused = document.activeElement?.closest?.('#grid [data-id]')?.dataset.id;
  const grid = make('div', { className: known ? 'days' : 'days unknown' });

  grid.style.setProperty('--days', days.length);
  for (const day of days) {
    const pieces = events.map(e => segment(e, day)).filter(Boolean)
      .sort((a, b) => a.from - b.from || b.to - a.to);
    const name = make('button', { title: text('addOn')(fullDay(day)), onclick: () => create(moment(day, 540), moment(day, 600)) }, dayName(day));
    const list = make('ol', { ariaLabel: fullDay(day) });
    const column = make('div', { className: 'column' }, list);

    name.dataset.id = `day${day.getDay()}`;
    pack(pieces);
    list.append(...pieces.map(p => eventButton(p, open)));
    drawable(column, day, create);
    const h3 = make('h3', {}, name);
    if (sameDay(day, today)) {
      h3.classList.add('is-today');
      name.setAttribute('aria-current', 'date');
      column.classList.add('is-today');
      const line = make('div', { className: 'now' });
      line.style.top = `${clockOf(today) / MINUTES * 100}%`;
      column.append(line);
    }
    head.push(h3);
    columns.push(column);
  }
  grid.append(make('div', { className: 'corner' }), ...head, axis(), ...columns);
  const top = box.scrollTop, left = box.scrollLeft;
  box.replaceChildren(grid);
  if (known && events.length === 0)
    box.append(make('p', { className: 'free quiet' }, text('free')));
  box.scrollTop = scrolled ? top : box.scrollHeight * 7.5 / 24;
  /* Where a week is wider than the screen, today is in sight. */
  const h = box.querySelector('h3.is-today');
  box.scrollLeft = scrolled === days.length || !h ? left : h.offsetLeft + h.offsetWidth - box.clientWidth;
  scrolled = days.length;
  if (focused) (box.querySelector(`[data-id="${focused}"]`) || box).focus({ preventScroll: true });
}

/* Show one event: scrolled to, and marked for a moment. */
export function showEvent(id) {
  const b = box.querySelector(`[data-id="${id}"]`);
  if (!b) return;
  b.focus({ preventScroll: true });
  b.scrollIntoView({ block: 'nearest' });
  b.classList.add('found');
  setTimeout(() => b.classList.remove('found'), 2000);
}
