/*
 * files.js - the old way: a file in, a file out
 *
 * A file may also be dropped anywhere on the page.
 */
import * as api from './api.js';
import { $, make } from './dom.js';
import { text } from './lang.js';

/* Sent byte for byte: what isn't UTF-8 has to be refused, not mended here. */
async function take(file, failed) {
  try {
    const calendar = /\.ics$/i.test(file.name) || /^\s*BEGIN:VCALENDAR/i.test(await file.slice(0, 99).text());
    const r = await api.ask('POST', 'import', file, { type: calendar ? 'text/calendar' : 'application/json' });
    return `${text('imported')(r.imported, r.before)}\n${r.notes || ''}`;
  } catch (e) {
    /* Of these nobody knows how much came in. */
    return ['half-imported', 'no-gateway', 'unreachable'].includes(e.code) ? failed(e) : text('importFailed')(failed(e));
  }
}

async function takeAll(files, { say, changed, failed }) {
  const told = [];
  for (const f of files) {
    say(`${f.name} …`, null, null, true);
    told.push(`${f.name}: ${(await take(f, failed)).trim()}`);
  }
  say(told.join('\n'), null, null, true);
  changed();
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
    await takeAll($('file').files, hooks);
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
  addEventListener('drop', e => {
    if (!dragged(e)) return;
    e.preventDefault();
    document.body.classList.remove('dropping');
    takeAll(e.dataTransfer.files, hooks);
  });
}
