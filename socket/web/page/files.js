/*
 * files.js - the old way: a file in, a file out
 *
 * A file may also be dropped anywhere on the page.
 */
import * as api from './api.js';
import { $, make } from './dom.js';
import { text } from './lang.js';

/* Sent byte for byte: what isn't UTF-8 has to be refused, not mended here. */
async function take(file, told, failed) {
  try {
    const calendar = /\.ics$/i.test(file.name) || /^\s*BEGIN:VCALENDAR/i.test(await file.slice(0, 99).text());
    const r = await api.ask('POST', 'import', file, { type: calendar ? 'text/calendar' : 'application/json' });
    told(`${text('imported')(r.imported, r.before)}\n${r.notes || ''}`);
    return r.imported;
  } catch (e) {
    /* Of these nobody knows how much came in. */
    told(['half-imported', 'no-gateway', 'unreachable'].includes(e.code) ? failed(e) : text('importFailed')(failed(e)));
    return 0;
  }
}

async function takeAll(files, { say, cameIn, failed }) {
  const told = [];
  let n = 0;
  for (const f of files) {
    say(`${f.name} …`, null, null, true);
    n += await take(f, s => told.push(`${f.name}: ${s.trim()}`), failed);
  }
  say(told.join('\n'), null, null, true);
  cameIn(n).catch(failed);
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
  for (const f of ['json', 'ics']) $(`save-${f}`).onclick = () => save(f, hooks);
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
