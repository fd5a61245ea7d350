/*
 * grid.js - the timetable as columns of days
 *
 *   draw      days, hours and events, anew each time something has changed
 *   segments  an event over midnight becomes one piece a day
 *   pack      overlapping pieces side by side: each cluster of them gets as
 *             many lanes as stand at the same time
 *
 * The same DOM is what a screen reader reads and what is printed: a section
 * for each day, a heading, a list of buttons in the order of time.
 */
import { text } from './lang.js';
import { MINUTES, clockOf, dayName, dayOf, fullDay, hourName, sameDay, when } from './time.js';

const SNAP = 15; /* minutes, when drawing an event with the mouse */
const box = document.getElementById('grid');
let scrolled = false;

const make = (tag, attributes = {}, ...children) => {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes))
    if (k === 'class') e.className = v;
    else if (k in e) e[k] = v;
    else e.setAttribute(k, v);
  e.append(...children);
  return e;
};

/* The piece of an event on one day, by the clock; null = none. */
function segment(e, day) {
  const next = dayOf(day, 1);
  if (e.end <= day || e.start >= next) return null;
  const from = e.start < day ? 0 : clockOf(e.start);
  let to = e.end >= next ? MINUTES : clockOf(e.end);
  /* The hour that occurs twice in autumn: as long as it really lasts. */
  if (to <= from) to = Math.min(MINUTES, from + (e.end - e.start) / 60000);
  return { event: e, from, to: Math.max(to, from + 1), before: e.start < day, after: e.end > next };
}

/* Gives each piece .lane and .lanes. They come ordered by start. */
function pack(pieces) {
  let cluster = [], until = -1;
  const close = () => {
    const lanes = Math.max(0, ...cluster.map(p => p.lane + 1));
    for (const p of cluster) p.lanes = lanes;
    cluster = [];
  };
  for (const p of pieces) {
    if (p.from >= until) close();
    const taken = new Set(cluster.filter(q => q.to > p.from).map(q => q.lane));
    p.lane = 0;
    while (taken.has(p.lane)) p.lane++;
    cluster.push(p);
    until = Math.max(until, p.to);
    if (cluster.length === 1) until = p.to;
  }
  close();
}

function eventButton(p, open) {
  const e = p.event;
  const b = make('button', { class: 'event', type: 'button' },
    make('b', {}, e.title),
    `${p.before ? '… ' : ''}${when(e)}${p.after ? ` (${text('continues')})` : ''}`);
  b.dataset.id = e.id;
  b.style.top = `${p.from / MINUTES * 100}%`;
  b.style.height = `${(p.to - p.from) / MINUTES * 100}%`;
  b.style.left = `${p.lane / p.lanes * 100}%`;
  b.style.width = `calc(${100 / p.lanes}% - 2px)`;
  b.classList.toggle('in-conflict', p.lanes > 1);
  b.title = `${e.title}\n${when(e)}`;
  b.addEventListener('click', () => open(e));
  return make('li', {}, b);
}

/* Draw with the mouse or a pen; a finger scrolls, and its tap means one hour. */
function drawable(column, day, create) {
  const at = ev => {
    const r = column.getBoundingClientRect();
    const m = (ev.clientY - r.top) / r.height * MINUTES;
    return Math.max(0, Math.min(MINUTES, Math.round(m / SNAP) * SNAP));
  };
  const moment = m => new Date(day.getFullYear(), day.getMonth(), day.getDate(), 0, m);

  column.addEventListener('pointerdown', ev => {
    if (ev.target.closest('.event') || ev.button !== 0 || ev.pointerType === 'touch') return;
    const first = at(ev), draft = make('div', { class: 'draft' });
    let last = first;
    const show = () => {
      draft.style.top = `${Math.min(first, last) / MINUTES * 100}%`;
      draft.style.height = `${Math.abs(last - first) / MINUTES * 100}%`;
    };
    const move = m => { last = at(m); show(); };
    const done = m => {
      column.removeEventListener('pointermove', move);
      column.classList.remove('drawing');
      draft.remove();
      if (m.type !== 'pointerup') return;
      const from = Math.min(first, last), to = Math.max(first, last);
      create(moment(from), moment(to > from ? to : from + 60));
    };
    ev.preventDefault();
    column.classList.add('drawing');
    column.append(draft);
    column.setPointerCapture(ev.pointerId);
    column.addEventListener('pointermove', move);
    column.addEventListener('pointerup', done, { once: true });
    column.addEventListener('pointercancel', done, { once: true });
  });
  column.addEventListener('click', ev => {
    if (ev.pointerType !== 'touch' || ev.target.closest('.event')) return;
    const m = Math.floor(at(ev) / 60) * 60;
    create(moment(m), moment(m + 60));
  });
}

function axis() {
  const a = make('div', { class: 'axis', ariaHidden: 'true' });
  for (let h = 1; h < 24; h++) {
    const s = make('span', {}, hourName(new Date(2026, 0, 1, h)));
    s.style.top = `${h / 24 * 100}%`;
    a.append(s);
  }
  return a;
}

/* `events` of these days; open(event) and create(start, end) are called. */
export function draw(days, events, { open, create }) {
  const today = new Date(), head = [], columns = [];
  const focused = document.activeElement?.closest?.('.event')?.dataset.id;
  const grid = make('div', { class: 'days' });

  grid.style.setProperty('--days', days.length);
  for (const day of days) {
    const pieces = events.map(e => segment(e, day)).filter(Boolean)
      .sort((a, b) => a.from - b.from || b.to - a.to);
    const name = make('button', { type: 'button', ariaLabel: text('addOn')(fullDay(day)) }, dayName(day));
    const list = make('ol', { ariaLabel: fullDay(day) });
    const column = make('div', { class: 'column' }, list);

    name.addEventListener('click', () => create(
      new Date(day.getFullYear(), day.getMonth(), day.getDate(), 9),
      new Date(day.getFullYear(), day.getMonth(), day.getDate(), 10)));
    pack(pieces);
    list.append(...pieces.map(p => eventButton(p, open)));
    drawable(column, day, create);
    const h3 = make('h3', {}, name);
    if (sameDay(day, today)) {
      h3.classList.add('is-today');
      name.setAttribute('aria-current', 'date');
      column.classList.add('is-today');
      const line = make('div', { class: 'now' });
      line.style.top = `${clockOf(today) / MINUTES * 100}%`;
      column.append(line);
    }
    head.push(h3);
    columns.push(column);
  }
  grid.append(make('div', { class: 'corner' }), ...head, axis(), ...columns);
  const at = box.scrollTop;
  box.replaceChildren(grid);
  if (events.length === 0) box.append(make('p', { class: 'free quiet' }, text('free')));
  if (scrolled) box.scrollTop = at;
  else { box.scrollTop = box.scrollHeight * 7.5 / 24; scrolled = true; }
  if (focused) box.querySelector(`[data-id="${focused}"]`)?.focus({ preventScroll: true });
}

/* The now line, without drawing everything anew. */
export function moveNow() {
  const line = box.querySelector('.now');
  if (line) line.style.top = `${clockOf(new Date()) / MINUTES * 100}%`;
}

/* Show one event: scrolled to, and marked for a moment. */
export function showEvent(id) {
  const b = box.querySelector(`[data-id="${id}"]`);
  if (!b) return;
  b.scrollIntoView({ block: 'center' });
  b.focus();
  b.classList.add('found');
  setTimeout(() => b.classList.remove('found'), 2000);
}
