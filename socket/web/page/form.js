/*
 * form.js - the dialog in which an event is made, changed or removed
 *
 * Whatever goes wrong is said at its field, and nothing that was typed is
 * lost: the dialog stays as it is until the store has said "done".
 */
import * as api from './api.js';
import { text } from './lang.js';
import { fromInput, toApi, toInput, when } from './time.js';

const $ = id => document.getElementById(id);
const dialog = $('form');
const fields = ['title', 'start', 'end'];
let event = null;   /* what is changed; null = a new one */
let expect = 0;     /* the revision that it must still have */
let hooks = {};     /* saved(event, before), removed(event), failed(failure) */

export const prepare = h => { hooks = h; };
export const isOpen = () => dialog.open;

function complain(field, sentence) {
  const known = fields.includes(field);
  $(known ? `${field}-error` : 'form-error').textContent = sentence;
  if (!known) return;
  $(field).setAttribute('aria-invalid', 'true');
  $(field).focus();
}

function clear() {
  for (const f of fields) {
    $(f).removeAttribute('aria-invalid');
    $(`${f}-error`).textContent = '';
  }
  $('form-error').textContent = '';
  $('theirs').hidden = true;
}

function fill(e) {
  $('title').value = e.title;
  $('start').value = toInput(e.start);
  $('end').value = toInput(e.end);
}

/* What overlaps it, if it is one that the store knows. */
async function showConflicts(e) {
  $('conflicts').replaceChildren();
  if (!e) return;
  try {
    const r = await api.ask('GET', `events/${e.id}/conflicts`, undefined, { quiet: true });
    if (r.events.length === 0 || event !== e) return;
    const p = document.createElement('p'), ul = document.createElement('ul');
    p.textContent = text('overlaps');
    for (const o of r.events.slice(0, 8)) {
      const li = document.createElement('li');
      li.textContent = `${o.title}, ${when({ start: new Date(o.start), end: new Date(o.end) })}`;
      ul.append(li);
    }
    $('conflicts').append(p, ul);
  } catch { /* only a hint */ }
}

function show(e) {
  clear();
  event = e;
  expect = e ? e.rev : 0;
  $('form-head').textContent = text(e ? 'editEvent' : 'newEvent');
  $('remove').hidden = !e;
  showConflicts(e);
  dialog.showModal();
  $('title').focus();
  $('title').select();
}

export const openNew = (start, end) => { fill({ title: '', start, end }); show(null); };
export const openEvent = e => { fill(e); show(e); };

/* The fields as the API wants them, or null and a complaint at one. */
function read() {
  const title = $('title').value.trim();
  const start = fromInput($('start').value), end = fromInput($('end').value);
  clear();
  for (const [f, v] of [['start', start], ['end', end]])
    if (typeof v === 'string') {
      complain(f, text(v === 'bad' ? 'badTime' : 'skipped'));
      return null;
    }
  if (end <= start) { complain('end', text('endFirst')); return null; }
  if (!title) { complain('title', text('noTitle')); return null; }
  return { title, start: toApi(start), end: toApi(end) };
}

/* Somebody else was faster: both versions, and the reader chooses. */
function showTheirs(current) {
  const theirs = { ...current, start: new Date(current.start), end: new Date(current.end) };
  const line = (who, what) => {
    const p = document.createElement('p'), b = document.createElement('b');
    b.textContent = `${who}: `;
    p.append(b, what);
    return p;
  };
  const button = (label, f) => {
    const b = document.createElement('button');
    b.type = 'button';
    b.textContent = label;
    b.addEventListener('click', f);
    return b;
  };
  const row = document.createElement('p');
  row.className = 'row';
  row.append(
    button(text('keepMine'), () => { expect = theirs.rev; submit(); }),
    button(text('takeTheirs'), () => { fill(theirs); event = theirs; expect = theirs.rev; clear(); }));
  const mine = { start: new Date($('start').value), end: new Date($('end').value) };
  $('theirs').replaceChildren(line(text('changed'), ''),
    line(text('theirs'), `${theirs.title}, ${when(theirs)}`),
    line(text('yours'), `${$('title').value}, ${when(mine)}`), row);
  $('theirs').hidden = false;
  row.firstChild.focus();
}

function refused(e) {
  if (e.kind === 'api' && e.status === 409 && e.current) showTheirs(e.current);
  else if (e.kind === 'api' && e.status === 404 && event) {
    event = null; /* saving it adds it again */
    complain(null, text('gone'));
    $('remove').hidden = true;
  } else if (e.kind === 'api' && e.status < 500) complain(e.field, e.message);
  else complain(null, hooks.failed(e));
}

async function submit() {
  const wanted = read(), before = event;
  if (!wanted) return;
  $('save').disabled = true;
  try {
    const saved = before ? await api.change(before.id, { ...wanted, rev: expect })
      : await api.add(wanted);
    dialog.close();
    hooks.saved(saved, before);
  } catch (e) { refused(e); } finally { $('save').disabled = false; }
}

$('form').querySelector('form').addEventListener('submit', e => { e.preventDefault(); submit(); });
$('cancel').addEventListener('click', () => dialog.close());
$('remove').addEventListener('click', async () => {
  const e = event;
  try {
    await api.remove(e.id, expect);
    dialog.close();
    hooks.removed(e);
  } catch (f) { refused(f); }
});
/* A start moved behind its end takes the end along. */
let length = 0;
$('start').addEventListener('focus', () => {
  length = new Date($('end').value) - new Date($('start').value);
});
$('start').addEventListener('change', () => {
  const start = fromInput($('start').value), end = fromInput($('end').value);
  if (typeof start !== 'string' && typeof end !== 'string' && end <= start && length > 0)
    $('end').value = toInput(new Date(start.getTime() + length));
});
