/*
 * files.mjs - a file in, a file out; picked and dropped
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { event, put, rest, test, titles, toast, until } from './lab.mjs';

const ONE = [{ title: 'Imported', start: '2026-11-24T09:00:00Z', end: '2026-11-24T10:00:00Z' }];
const ICS = ['BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//test//EN', 'BEGIN:VEVENT', 'UID:1@example.org',
  'DTSTAMP:20261101T000000Z', 'DTSTART;TZID=Asia/Seoul:20261125T180000', 'DTEND;TZID=Asia/Seoul:20261125T190000',
  'SUMMARY:From a calendar', 'LOCATION:Room 204',
  'END:VEVENT', 'END:VCALENDAR', ''].join('\r\n');

async function saved(page, button) {
  const [d] = await Promise.all([page.waitForEvent('download'), page.click(button)]);
  return { name: d.suggestedFilename(), body: fs.readFileSync(await d.path(), 'utf8') };
}

/* As the desktop does it. */
const drop = (page, name, body) => page.evaluate(([n, b]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([b], n));
  const say = type => document.querySelector('#grid').dispatchEvent(
    new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
  say('dragover');
  const marked = document.body.classList.contains('dropping');
  say('drop');
  return marked;
}, [name, body]);

test('files: JSON out, and into another lab', async t => {
  const lab = await t.lab(), other = await t.lab();
  await put(lab, 'Von hier, 여기서', '2026-11-24T09:00:00Z', '2026-11-24T10:00:00Z');
  const page = await t.page(lab), there = await t.page(other);

  const file = await saved(page, '#save-json');
  assert.equal(file.name, 'timetable.json');
  assert.equal(JSON.parse(file.body)[0].title, 'Von hier, 여기서');
  const name = path.join(lab.folder, file.name);
  fs.writeFileSync(name, file.body);
  await there.setInputFiles('#file', name);
  await event(there, 'Von hier, 여기서').waitFor();
  await until('it is told', async () => /Imported: 1\. There before: 0/.test(await toast(there)));
  await there.setInputFiles('#file', name);
  await until('it is not there twice', async () => /Imported: 0\. There before: 1/.test(await toast(there)));
});

test('files: dropped on the page, and a bad one changes nothing', async t => {
  const page = await t.page(await t.lab());

  assert.equal(await drop(page, 'a.json', JSON.stringify(ONE)), true);
  await event(page, 'Imported').waitFor();
  assert.equal(await page.$eval('body', b => b.classList.contains('dropping')), false);
  await drop(page, 'bad.json', JSON.stringify([{ ...ONE[0], title: 'No' }, { title: 'x' }]));
  await until('it is told', async () => /Nothing was imported: .*event 2: start/.test(await toast(page)));
  await t.shot(page, 'bad-file');
  assert.deepEqual(await titles(page), ['Imported']);
});

test('files: what came in elsewhere is shown there', async t => {
  const lab = await t.lab();
  const page = await t.page(lab);
  const at = (day, title) => ({ title, start: `${day}T09:00:00Z`, end: `${day}T10:00:00Z` });
  const give = events => page.setInputFiles('#file', {
    name: 'a.json', mimeType: '', buffer: Buffer.from(JSON.stringify(events)) });

  await give([at('2026-12-07', 'Next'), at('2027-02-01', 'Later'), at('2026-10-05', 'Past')]);
  await event(page, 'Next').waitFor();
  await page.click('#after');
  await Promise.all([ /* there before: nobody wants to go there */
    page.waitForResponse(r => /api\/events\?/.test(r.url())),
    give([at('2027-02-01', 'Later')])]);
  await until('it is told', async () => /Imported: 0/.test(await toast(page)));
  await rest(500);
  assert.match(await page.textContent('#range'), /^14/);
});

test('files: several are picked, each is told of; what isn’t UTF-8 isn’t mended', async t => {
  const lab = await t.lab();
  const page = await t.page(lab);
  const file = (name, buffer) => ({ name, mimeType: '', buffer });

  await page.setInputFiles('#file', [
    file('latin1.ics', Buffer.from(ICS.replace('From a calendar', 'Pr\u00fcfung'), 'latin1')),
    file('good.json', Buffer.from(JSON.stringify(ONE)))]);
  await event(page, 'Imported').waitFor();
  await until('both are told', async () =>
    /latin1.ics: Nothing was imported: .*line 9.*\n*good.json: Imported: 1/.test(await toast(page)));
  assert.deepEqual(await titles(page), ['Imported']);
  assert.match((await saved(page, '#save-ics')).body, /^UID:1@web\d+-\d+/m, 'the instance is in it');
});

test('files: iCalendar in and out', async t => {
  const lab = await t.lab();
  if ((await lab.raw('export?format=ics')).status === 400) return 'this lab has no iCalendar';
  const page = await t.page(lab);
  await drop(page, 'a.ics', ICS);
  await event(page, 'From a calendar').waitFor();
  assert.match(await event(page, 'From a calendar').textContent(), /10:00 – 11:00/);
  await until('what has no place is told', async () => /Imported: 1.*LOCATION left out/s.test(await toast(page)));
  await t.shot(page, 'calendar');
  const file = await saved(page, '#save-ics');
  assert.equal(file.name, 'timetable.ics');
  assert.match(file.body, /BEGIN:VEVENT[^]*SUMMARY:From a calendar/);
  return null;
});
