/*
 * views.mjs - week and day, other weeks, search, languages, small, dark, paper
 */
import assert from 'node:assert/strict';
import { box, event, put, test, titles, until } from './lab.mjs';

/* Versions of ICU differ in commas and in kinds of spaces. */
const plain = text => text.replace(/[\s\u2009]*–[\s\u2009]*/g, ' – ').replaceAll(',', '');
const range = async page => plain(await page.textContent('#range'));

/* A week as a student has it. */
export async function semester(lab) {
  for (const [title, from, to] of [
    ['Operating systems', '23T09:00', '23T10:30'], ['Linear algebra', '23T11:00', '23T12:30'], ['Lab: pipes and FIFOs', '23T14:00', '23T17:00'],
    ['Physics', '24T09:30', '24T11:00'], ['Study group', '24T10:30', '24T12:00'], ['Sports', '24T18:00', '24T19:30'],
    ['Operating systems', '25T09:00', '25T10:30'], ['Seminar', '25T11:30', '25T13:00'], ['Office hours', '25T12:00', '25T12:45'], ['Networks', '25T14:00', '25T15:30'],
    ['Linear algebra', '26T11:00', '26T12:30'], ['Lab: shared memory', '26T14:00', '26T17:00'], ['Night watch in the server room', '26T21:00', '27T06:00'],
    ['Physics', '27T09:30', '27T11:00'], ['Project: timetable', '27T13:00', '27T16:00'], ['Open day', '28T10:00', '28T15:00']])
    await put(lab, title, `2026-11-${from}:00Z`, `2026-11-${to}:00Z`);
}

test('week: from Monday, today marked, and other weeks', async t => {
  const lab = await t.lab();
  await semester(lab);
  await put(lab, 'Next year', '2027-01-01T09:00:00Z', '2027-01-01T10:00:00Z');
  const page = await t.page(lab, { timezoneId: 'UTC' });

  await event(page, 'Open day').waitFor();
  await t.shot(page, 'week');
  assert.equal(await range(page), '23 – 29 November 2026');
  const days = await page.$$eval('.days h3', l => l.map(h => h.textContent));
  assert.deepEqual(days, ['Mon 23', 'Tue 24', 'Wed 25', 'Thu 26', 'Fri 27', 'Sat 28', 'Sun 29']);
  assert.equal(await page.textContent('h3.is-today'), 'Wed 25');
  assert.equal(await page.getAttribute('h3.is-today button', 'aria-current'), 'date');
  const c = await box(page.locator('.column.is-today')), n = await box(page.locator('.now'));
  assert.ok(Math.abs((n.y - c.y) / c.height * 24 - 10.33) < 0.1);
  /* The day's work is in sight, without scrolling. */
  assert.ok(await event(page, 'Physics').first().isVisible());
  const g = await box(page.locator('#grid')), first = await box(event(page, 'Operating').first());
  assert.ok(first.y > g.y && first.y + first.height < g.y + g.height);

  await page.click('#after');
  await until('the next one is empty', async () => (await titles(page)).length === 0);
  assert.equal(await range(page), '30 November – 6 December 2026');
  await page.click('#before');
  await page.click('#before');
  assert.equal(await range(page), '16 – 22 November 2026');
  await page.click('#today');
  await event(page, 'Open day').waitFor();

  await page.fill('#search', 'next YEAR');
  await page.click('#found button');
  assert.equal(await page.textContent('#none'), 'Found: 1');
  await event(page, 'Next year').waitFor();
  assert.equal(await range(page), '28 December 2026 – 3 January 2027');
  await until('it has the focus', () => page.evaluate(() => /Next year/.test(document.activeElement.textContent) && document.activeElement.matches('.event')));
  await page.fill('#search', 'no such thing');
  await until('nothing is', async () => (await page.textContent('#none')) === 'Nothing found');
});

test('day: one column, by the button and by itself where it is narrow', async t => {
  const lab = await t.lab();
  await semester(lab);
  const page = await t.page(lab, { timezoneId: 'UTC' });

  await page.click('#day');
  await until('one column', async () => await page.locator('.column').count() === 1);
  assert.equal(await range(page), 'Wednesday 25 November 2026');
  assert.deepEqual(await titles(page), ['Operating systems', 'Seminar', 'Office hours', 'Networks']);
  assert.equal(await page.getAttribute('#day', 'aria-pressed'), 'true');
  await t.shot(page, 'day');
  await page.click('#after');
  await event(page, 'Night watch').waitFor();
  assert.equal(await range(page), 'Thursday 26 November 2026');
  await page.click('#after');
  await page.click('#after');
  await page.click('#after');
  await until('an empty day', async () => /No events/.test(await page.textContent('#grid')));

  const phone = await t.page(lab, { timezoneId: 'UTC', viewport: { width: 360, height: 740 } });
  await event(phone, 'Networks').waitFor();
  assert.equal(await phone.locator('.column').count(), 1);
  assert.equal(await phone.evaluate(() => document.documentElement.scrollWidth), 360);
  await t.shot(phone, 'narrow');
  await t.shot(phone, 'narrow-whole', { fullPage: true });
  await phone.click('#week');
  await until('the week, if wanted', async () => await phone.locator('.column').count() === 7);
  assert.equal(await phone.evaluate(() => document.documentElement.scrollWidth), 360);
  await t.shot(phone, 'narrow-week');
  await phone.click('#add');
  await t.shot(phone, 'narrow-dialog');
  const d = await box(phone.locator('#form'));
  assert.ok(d.x >= 0 && d.x + d.width <= 360);
});

test('clocks: a browser in another language gets no American ones', async t => {
  const lab = await t.lab();
  await semester(lab);
  const page = await t.page(lab, { timezoneId: 'UTC', locale: 'de-DE' });

  await event(page, 'Open day').waitFor();
  assert.equal(await range(page), '23 – 29 November 2026');
  assert.doesNotMatch(await page.textContent('#grid'), /[AP]M/);
});

test('search: what is found is as it is now', async t => {
  const lab = await t.lab();
  await semester(lab);
  const page = await t.page(lab, { timezoneId: 'UTC' });

  await page.fill('#search', 'seminar');
  await until('one is found', async () => (await page.textContent('#none')) === 'Found: 1');
  await event(page, 'Seminar').first().click();
  await page.click('#remove');
  await until('none is', async () => (await page.textContent('#none')) === 'Nothing found');
});

test('zoom: at 200 % nothing is cut off', async t => {
  const lab = await t.lab();
  await semester(lab);
  /* What a window of 1280 x 860 is then. */
  const page = await t.page(lab, { viewport: { width: 640, height: 430 }, deviceScaleFactor: 2, timezoneId: 'UTC' });

  await event(page, 'Networks').waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 640);
  assert.ok((await box(page.locator('#grid'))).width > 500);
  await t.shot(page, 'zoom');
  await page.click('#add');
  await until('it is as high as it gets', async () => /Seminar/.test(await page.textContent('#conflicts')));
  await page.locator('#save').scrollIntoViewIfNeeded();
  await t.shot(page, 'zoom-dialog');
  assert.ok(await page.isVisible('#save'));
  const d = await box(page.locator('#form'));
  assert.ok(d.y >= 0 && d.y + d.height <= 430, 'the dialog is higher than the window');
});

test('languages: the browser says which, the switch says otherwise', async t => {
  const lab = await t.lab();
  await semester(lab);
  await put(lab, '운영체제 실습', '2026-11-27T18:00:00Z', '2026-11-27T20:00:00Z');
  const page = await t.page(lab, { locale: 'ko-KR', timezoneId: 'UTC' });

  await event(page, '운영체제 실습').waitFor();
  assert.equal(await page.textContent('h1'), '시간표');
  assert.equal(await page.getAttribute('html', 'lang'), 'ko');
  assert.match(await range(page), /2026년 11월 23일/);
  assert.match(await page.textContent('#hops'), /저장소/);
  await t.shot(page, 'korean');
  await event(page, '운영체제').click();
  await page.fill('#end', '2026-11-27T17:00');
  await page.click('#save');
  assert.equal(await page.textContent('#end-error'), '종료는 시작보다 늦어야 합니다.');
  await t.shot(page, 'korean-dialog');
  await page.fill('#end', '2026-11-27T21:00'); /* and what the gateway refuses */
  await page.fill('#title', '운'.repeat(86));
  await page.click('#save');
  await until('in Korean, too', async () => /255바이트/.test(await page.textContent('#title-error')));
  await page.click('#cancel');

  await page.selectOption('#language', 'en');
  assert.equal(await page.textContent('h1'), 'Timetable');
  assert.equal(await page.getAttribute('html', 'lang'), 'en');
  assert.doesNotMatch(await page.innerText('body'), /undefined/);
  await page.reload();
  await event(page, '운영체제').waitFor();
  assert.equal(await page.textContent('h1'), 'Timetable');
  await page.selectOption('#language', 'ko');
  assert.doesNotMatch(await page.innerText('body'), /undefined|\b(Search|Today|Add|Files)\b/);
  /* Who reads neither gets English. */
  const other = await t.page(lab, { locale: 'fr-FR' });
  assert.equal(await other.textContent('h1'), 'Timetable');
});

test('languages: both have the same texts', async t => {
  const page = await t.page(await t.lab());
  const shapes = await page.evaluate(async () => {
    const { text, chooseLanguage } = await import('./lang.js');
    const source = await (await fetch('lang.js')).text();
    const keys = [...new Set([...source.matchAll(/(?:^|[ {])'?([a-zA-Z-]+)'?: /gm)].map(m => m[1]))];
    const shape = l => {
      chooseLanguage(l);
      return keys.map(k => `${k} ${typeof text(k)} ${text(k)?.length && typeof text(k) === 'function' ? text(k).length : ''}`);
    };
    return { en: shape('en'), ko: shape('ko'), hops: [Object.keys((chooseLanguage('en'), text('hop'))), Object.keys((chooseLanguage('ko'), text('hop')))] };
  });
  assert.ok(shapes.en.length > 50);
  assert.deepEqual(shapes.ko, shapes.en);
  assert.deepEqual(shapes.hops[1], shapes.hops[0]);
});

test('paper: the whole week, and nothing but it', async t => {
  const lab = await t.lab();
  await semester(lab);
  const page = await t.page(lab, { timezoneId: 'UTC', colorScheme: 'dark' });

  await event(page, 'Open day').waitFor();
  await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
  await page.setViewportSize({ width: 1046, height: 718 });
  for (const s of ['aside', '#add', '#before', '#views', '.now']) assert.equal(await page.locator(s).first().isVisible(), false, s);
  assert.equal(await event(page, 'Night watch').count(), 2);
  const last = await box(page.locator('.days'));
  await t.shot(page, 'paper', { fullPage: true });
  assert.ok(last.y + last.height <= 718, `one page is 718 high, the week ends at ${last.y + last.height}`);
  const pdf = await page.pdf({ preferCSSPageSize: true });
  assert.equal(pdf.toString('latin1').match(/\/Type\s*\/Page\b/g).length, 1);
});
