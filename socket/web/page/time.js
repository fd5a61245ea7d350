/*
 * time.js - days and clocks of the browser's own time zone
 *
 * The store knows seconds of UTC; here they become the days that people see.
 * A day is taken by its date, never as 24 hours: twice a year it has 23 or 25.
 */
import { language, locale } from './lang.js';

export const MINUTES = 24 * 60;

/* A day's beginning, `n` days after the day of `date`. */
export const dayOf = (date, n = 0) =>
  new Date(date.getFullYear(), date.getMonth(), date.getDate() + n);

/* The Monday (in English: the ISO week; in Korean calendars Sunday is first,
 * but a timetable at a Korean school begins on Monday as well). */
export const weekOf = date => dayOf(date, -((date.getDay() + 6) % 7));

export const sameDay = (a, b) => dayOf(a).getTime() === dayOf(b).getTime();

/* What the clock shows, in minutes from midnight. */
export const clockOf = date => date.getHours() * 60 + date.getMinutes();

const two = n => String(n).padStart(2, '0');

/* As <input type="datetime-local"> wants it. */
export const toInput = d =>
  `${String(d.getFullYear()).padStart(4, '0')}-${two(d.getMonth() + 1)}-` +
  `${two(d.getDate())}T${two(d.getHours())}:${two(d.getMinutes())}` +
  (d.getSeconds() ? `:${two(d.getSeconds())}` : '');

/* And back: a Date; 'bad' for none, 'skipped' for one that doesn't exist. */
export function fromInput(value) {
  const d = new Date(value);
  if (!value || Number.isNaN(d.getTime())) return 'bad';
  return toInput(d).slice(0, 16) === value.slice(0, 16) ? d : 'skipped';
}

/* As the API wants it. */
export const toApi = d => d.toISOString().replace(/\.\d+Z$/, 'Z');

/* A formatter costs a hundred times what it formats: one of each is kept. */
const formats = new Map();
function format(options) {
  const key = `${locale()} ${JSON.stringify(options)}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(locale(), options));
  return formats.get(key);
}
const show = options => d => format(options).format(d);

/* Korean timetables count to 24, though Korean clocks say "in the morning",
 * which has no room here. */
const hours = o => (language() === 'ko' ? { ...o, hourCycle: 'h23' } : o);
export const clock = d => show(hours({ hour: 'numeric', minute: '2-digit' }))(d);
export const hourName = d => show(hours({ hour: 'numeric' }))(d);
export const dayName = d => show({ weekday: 'short', day: 'numeric' })(d);
export const fullDay = d =>
  show({ weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' })(d);
export const shortDay = d => show({ day: 'numeric', month: 'short', year: 'numeric' })(d);

/* "23 – 29 November 2026" */
export const span = (a, b) => {
  const f = format({ day: 'numeric', month: 'long', year: 'numeric' });
  return f.formatRange ? f.formatRange(a, b) : `${f.format(a)} – ${f.format(b)}`;
};

/* "09:00 – 10:30", with dates where it isn't one day. */
export const when = e => sameDay(e.start, e.end)
  ? `${clock(e.start)} – ${clock(e.end)}`
  : `${shortDay(e.start)} ${clock(e.start)} – ${shortDay(e.end)} ${clock(e.end)}`;
