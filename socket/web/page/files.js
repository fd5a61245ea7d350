/*
 * files.js - the old way: a file in, a file out
 *
 * A file may also be dropped anywhere on the page.
 */
import * as api from './api.js';
import { $, make } from './dom.js';
import { text } from './lang.js';

async function take(file, { say, changed, failed }) {
  const body = await file.text();
  const calendar = /\.ics$/i.test(file.name) || /^\s*BEGIN:VCALENDAR/i.test(body);
  try {
    const r = await api.ask('POST', 'import', body, { type: calendar ? 'text/calendar' : 'application/json' });
    say([text('imported')(r.imported, r.before), r.notes].filter(Boolean).join('\n').trim(), null, null, r.notes);
    changed();
  } catch (e) {
    say(e.code === 'half-imported' ? e.message : text('importFailed')(failed(e)), null, null, true);
  }
}

async function save(format, { say, failed }) {
  try {
    const blob = await api.ask('GET', `export?format=${format}`, undefined, { raw: true });
    const a = make('a', { href: URL.createObjectURL(blob), download: `timetable.${format}` });
    a.click();
    setTimeout(() => URL.revokeObjectURL(a.href), 10000);
  } catch (e) { say(failed(e)); }
}

export function start(hooks) {
  const dragged = e => [...(e.dataTransfer?.types || [])].includes('Files');
  $('file').onchange = async () => {
    for (const f of $('file').files) await take(f, hooks);
    $('file').value = '';
  };
  $('save-json').addEventListener('click', () => save('json', hooks));
  $('save-ics').addEventListener('click', () => save('ics', hooks));
  addEventListener('dragover', e => {
    if (!dragged(e)) return;
    e.preventDefault();
    document.body.classList.add('dropping');
  });
  addEventListener('dragleave', e => {
    if (!e.relatedTarget) document.body.classList.remove('dropping');
  });
  addEventListener('drop', async e => {
    if (!dragged(e)) return;
    e.preventDefault();
    document.body.classList.remove('dropping');
    for (const f of e.dataTransfer.files) await take(f, hooks);
  });
}
