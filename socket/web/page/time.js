/*
 * time.js - days and clocks of the browser's own time zone
 *
 * The store knows seconds of UTC; here they become the days that people see.
 * A day is taken by its date, never as 24 hours: twice a year it has 23 or 25.
 */
import { language, locale } from './lang.js';

export const MINUTES = 24 * 60;

/* A day's beginning, `n` days after the day of `date`. */
export const dayOf = (date, n = 0) => {
  const d = new Date(date); /* new Date(26, 0) would be in 1926 */
  d.setDate(d.getDate() + n);
  d.setHours(0, 0, 0, 0);
  return d;
};

/* `minutes` after midnight, by the clock. */
export const moment = (day, minutes) => new Date(new Date(day).setHours(0, minutes, 0, 0));

/* The Monday: timetables of Korean schools begin with it, too. */
export const weekOf = date => dayOf(date, -((date.getDay() + 6) % 7));

export const sameDay = (a, b) => dayOf(a).getTime() === dayOf(b).getTime();

/* What the clock shows, in minutes from midnight. */
export const clockOf = date => date.getHours() * 60 + date.getMinutes();

/* As <input type="datetime-local"> wants it. */
export const toInput = d =>
  new Date(d - d.getTimezoneOffset() * 60000).toISOString().slice(0, d.getSeconds() ? 19 : 16);

/* And back: a Date; 'bad' for none, 'skipped' for one that doesn't exist. */
export function fromInput(value) {
  const d = new Date(value);
  if (!value || Number.isNaN(d.getTime())) return 'bad';
  return toInput(d).slice(0, 16) === value.slice(0, 16) ? d : 'skipped';
}

/* As the API wants it. */
export const toApi = d => d.toISOString().replace(/\.\d+Z$/, 'Z');

/* A formatter costs a hundred times what it formats: each is kept until the
 * language changes. "In the morning", as Korean clocks say, has no room here. */
const format = options => {
  let of, f;
  return () => {
    if (of !== locale()) {
      of = locale();
      f = new Intl.DateTimeFormat(of, options.hour && language() === 'ko'
        ? { ...options, hourCycle: 'h23' } : options);
    }
    return f;
  };
};
const show = options => {
  const f = format(options);
  return d => f().format(d);
};
export const clock = show({ hour: 'numeric', minute: '2-digit' });
export const hourName = show({ hour: 'numeric' });
export const dayName = show({ weekday: 'short', day: 'numeric' });
export const fullDay = show({ weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
export const shortDay = show({ day: 'numeric', month: 'short', year: 'numeric' });

/* "23 – 29 November 2026" */
const long = format({ day: 'numeric', month: 'long', year: 'numeric' });
export const span = (a, b) => long().formatRange(a, b);

/* "9:00 – 10:30", with dates where it isn't one day. */
export const when = e => sameDay(e.start, e.end)
  ? `${clock(e.start)} – ${clock(e.end)}`
  : `${shortDay(e.start)} ${clock(e.start)} – ${shortDay(e.end)} ${clock(e.end)}`;

/* The same with its date in any case. */
export const whenDay = e =>
  sameDay(e.start, e.end) ? `${shortDay(e.start)}, ${when(e)}` : when(e);
