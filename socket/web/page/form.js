/*
 * form.js - the dialog in which an event is made, changed or removed
 *
 * Whatever goes wrong is said at its field, and nothing that was typed is
 * lost: the dialog stays as it is until the store has said "done".
 */
import * as api from './api.js';
import { $, make } from './dom.js';
import { text } from './lang.js';
import { fromInput, toApi, toInput, when, whenDay } from './time.js';

const dialog = $('form');
const fields = ['title', 'start', 'end'];
let event = null;   /* what is changed; null = a new one */
let expect = 0;     /* the revision that it must still have */
let turn = 0;       /* counts what was opened: an answer may come too late */
let dates = {};     /* of each date field: what stands in it, and what it means */
let sent = {};      /* what was asked last, and its token */
let hooks = {};     /* saved(event), removed(event), failed(failure), say(text) */

export const prepare = h => { hooks = h; };
export const isOpen = () => dialog.open;

function complain(field, sentence) {
  const known = fields.includes(field);
  $(known ? `${field}-error` : 'form-error').textContent = sentence;
  if (!known) return;
  $(field).setAttribute('aria-invalid', 'true');
  $(field).focus();
}

function forgive(field) {
  $(field).removeAttribute('aria-invalid');
  $(`${field}-error`).textContent = '';
}

function clear() {
  fields.forEach(forgive);
  $('form-error').textContent = '';
  $('form-error').className = 'error';
  $('theirs').hidden = true;
  $('save').hidden = false;
}

function put(field, date) {
  $(field).value = toInput(date);
  dates[field] = { value: $(field).value, date };
}

function fill(e) {
  $('title').value = e.title;
  put('start', e.start);
  put('end', e.end);
}

/* In autumn an hour occurs twice, and a field can't say which one: a date that
 * wasn't touched stays what it was. */
const dateIn = field => $(field).value === dates[field].value ? dates[field].date
  : fromInput($(field).value);

/* What else is at that time, while it is being chosen. */
let asked = 0;
async function showConflicts() {
  const start = dateIn('start'), end = dateIn('end'), mine = ++asked;
  let found = [];
  if (end > start)
    try {
      const r = await api.list(toApi(start), toApi(end), { quiet: true });
      found = r.events.filter(e => e.id !== event?.id);
    } catch { /* only a hint */ }
  if (mine !== asked) return;
  const list = make('ul', {}, ...found.slice(0, 4).map(e => make('li', {}, `${e.title}, ${when(e)}`)));
  if (found.length > 4) list.append(`… ${found.length - 4}`);
  $('conflicts').replaceChildren(...(found.length ? [text('overlaps'), list] : []));
}

function show(e) {
  clear();
  event = e;
  expect = e ? e.rev : 0;
  turn++;
  $('form-head').textContent = text(e ? 'editEvent' : 'newEvent');
  $('remove').hidden = !e;
  $('conflicts').replaceChildren();
  showConflicts();
  dialog.showModal();
  $('title').focus();
  $('title').select();
}

/* In spring an hour isn't there, and a start in it is the next one. What failed
 * has its title still. */
export function openNew(start, end) {
  const title = event || !$('form-error').textContent ? '' : $('title').value;
  fill({ title, start, end: end > start ? end : new Date(start.getTime() + 3600000) });
  show(null);
}
export const openEvent = e => { fill(e); show(e); };

/* The fields as the API wants them, or null and a complaint at one. */
function read() {
  const title = $('title').value.trim();
  const start = dateIn('start'), end = dateIn('end');
  clear();
  for (const [f, v] of [['start', start], ['end', end]])
    if (typeof v === 'string') {
      complain(f, text(v === 'bad' ? 'badTime' : 'skipped'));
      return null;
    }
  if (end <= start) { complain('end', text('end-before-start')); return null; }
  if (!title) { complain('title', text('empty-title')); return null; }
  return { title, start: toApi(start), end: toApi(end) };
}

/* Somebody else was faster: both versions, and the reader chooses. `again` is
 * what was wanted, `label` what it is called. */
function showTheirs(current, label, again) {
  const theirs = api.dates(current);
  const line = (who, what) => make('p', {}, make('b', {}, `${who}: `), what);
  const button = (name, onclick) => make('button', { type: 'button', onclick }, name);
  const row = make('p', { className: 'row' },
    button(label, () => {
      if (again !== submit) event = theirs; /* for Undo */
      expect = theirs.rev;
      again();
    }),
    button(text('takeTheirs'), () => { fill(theirs); event = theirs; expect = theirs.rev; clear(); }));
  const mine = { start: dateIn('start'), end: dateIn('end') };
  $('theirs').replaceChildren(text('changed'),
    line(text('theirs'), `${theirs.title}, ${whenDay(theirs)}`),
    ...(again === submit ? [line(text('yours'), `${$('title').value}, ${whenDay(mine)}`)] : []), row);
  $('theirs').hidden = false;
  $('save').hidden = true; /* one of these two instead */
  row.firstChild.focus();
}

function refused(e, label, again) {
  if (e.code === 'changed') showTheirs(e.current, label, again);
  else if (e.code === 'no-such-event' && event) {
    event = null; /* saving it adds it again */
    complain(null, text('gone'));
    $('remove').hidden = true;
  } else complain(e.field, hooks.failed(e));
}

/* An answer was lost: the same once more, with the same token, is done once. */
function tokenFor(wanted) {
  const key = JSON.stringify([turn, event?.id, expect, wanted]);
  if (sent.key !== key) sent = { key, token: api.token() };
  return sent.token;
}

/* Does it, and then done(result); what went wrong is said in the dialog, or
 * beside it when it was closed meanwhile. */
async function attempt(work, done, label, again) {
  const mine = turn;
  $('save').disabled = $('remove').disabled = true;
  try {
    const result = await work();
    if (mine === turn) dialog.close();
    done(result);
  } catch (e) {
    if (mine === turn && dialog.open) refused(e, label, again);
    else hooks.say(hooks.failed(e));
  } finally { $('save').disabled = $('remove').disabled = false; }
}

function submit() {
  const fields = read(), before = event;
  if (!fields) return;
  const wanted = { ...fields, token: tokenFor(fields) };
  attempt(() => before ? api.change(before.id, { ...wanted, rev: expect }) : api.add(wanted),
    hooks.saved, text('keepMine'), submit);
}

function removeIt() {
  const e = event;
  attempt(() => api.remove(e.id, expect, tokenFor('remove')), () => hooks.removed(e), text('removeAnyway'), removeIt);
}

dialog.firstElementChild.onsubmit = e => { e.preventDefault(); submit(); };
$('cancel').onclick = () => dialog.close();
/* What had the focus before may have been drawn anew. */
dialog.onclose = () => { if (document.activeElement === document.body) $('grid').focus({ preventScroll: true }); };
$('remove').onclick = removeIt;
/* What was said of the store isn't so any more. */
export function goOn(sentence) {
  if (!$('form-error').textContent) return;
  $('form-error').textContent = sentence;
  $('form-error').className = 'quiet';
}

/* A start that is moved takes the end along. */
let length = 0;
$('start').addEventListener('focus', () => { length = dateIn('end') - dateIn('start'); });
$('start').addEventListener('change', () => {
  const start = dateIn('start');
  forgive('end');
  if (typeof start !== 'string' && length > 0)
    put('end', new Date(start.getTime() + length));
});
for (const f of ['start', 'end']) $(f).addEventListener('change', showConflicts);
/* A complaint holds until its field is changed. */
for (const f of fields) $(f).addEventListener('input', () => forgive(f));
