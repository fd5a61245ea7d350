/*
 * clocks.mjs - midnight, and the two days a year that don't have 24 hours
 */
import assert from 'node:assert/strict';
import { addEvent, box, event, put, save, test, titles, typeEvent, until } from './lab.mjs';

/* Where it stands on its day, in hours by the clock. Both in one look: the grid
 * may be drawn anew, or scroll. */
const hours = (page, title, n = 0) => page.evaluate(([t, i]) => {
  const e = [...document.querySelectorAll('.event')].filter(b => b.textContent.includes(t))[i];
  const p = e.getBoundingClientRect(), c = e.closest('.column').getBoundingClientRect();
  return [p.top, p.bottom].map(y => Math.round((y - c.top) / c.height * 24 * 4) / 4);
}, [title, n]);

test('midnight: one piece a day, both lead to the same event', async t => {
  const lab = await t.lab();
  await put(lab, 'Night shift', '2026-11-25T21:00:00Z', '2026-11-26T05:00:00Z');
  await put(lab, 'Camp', '2026-11-27T11:00:00Z', '2026-11-30T11:00:00Z');
  await put(lab, 'To midnight', '2026-11-23T20:00:00Z', '2026-11-23T23:00:00Z');
  const page = await t.page(lab);

  await until('they are shown', async () => (await titles(page)).length === 6);
  assert.equal(await event(page, 'To midnight').count(), 1);
  assert.equal(await event(page, 'Night shift').count(), 2);
  assert.equal(await event(page, 'Camp').count(), 3);
  assert.deepEqual(await hours(page, 'Night shift', 0), [22, 24]);
  assert.deepEqual(await hours(page, 'Night shift', 1), [0, 6]);
  assert.deepEqual(await hours(page, 'Camp', 1), [0, 24]);
  assert.match(await event(page, 'Night shift').nth(0).textContent(), /22:00 – …$/);
  assert.match(await event(page, 'Night shift').nth(1).textContent(), /… – 6:00$/);
  assert.match(await event(page, 'Night shift').nth(1).getAttribute('title'), /25 Nov 2026 22:00 – 26 Nov 2026 6:00/);
  await event(page, 'Night shift').nth(1).click();
  assert.equal(await page.inputValue('#start'), '2026-11-25T22:00');
  assert.equal(await page.inputValue('#end'), '2026-11-26T06:00');
  await page.click('#cancel');
  await page.click('#after');
  await until('Monday has its last piece', async () => (await titles(page)).join() === 'Camp');
  assert.deepEqual(await hours(page, 'Camp'), [0, 12]);
});

test('spring in Berlin: the hour that is skipped', async t => {
  const lab = await t.lab();
  /* 01:00 CET to 04:00 CEST: two hours. */
  await put(lab, 'Short night', '2026-03-29T00:00:00Z', '2026-03-29T02:00:00Z');
  const page = await t.page(lab, { now: '2026-03-25T09:00:00Z' });

  await event(page, 'Short night').waitFor();
  assert.deepEqual(await hours(page, 'Short night'), [1, 4]);
  assert.equal(await page.locator('.column').count(), 7);
  await page.click('#add');
  await typeEvent(page, 'Nowhere', '2026-03-29T02:30', '2026-03-29T04:00');
  await page.click('#save');
  assert.equal(await page.textContent('#start-error'), 'The clocks skip this time.');
  await page.fill('#start', '2026-03-29T03:00');
  await save(page);
  await event(page, 'Nowhere').waitFor();
  assert.equal((await lab.api('GET', 'events')).events.find(e => e.title === 'Nowhere').start, '2026-03-29T01:00:00Z');

  /* Drawn where there is nothing: the next hour that there is. */
  const c = await box(page.locator('.column').nth(6));
  await page.$eval('#grid', g => { g.scrollTop = 0; });
  const top = (await box(page.locator('.column').nth(6))).y;
  await page.mouse.move(c.x + c.width - 4, top + c.height * 2 / 24 + 2);
  await page.mouse.down();
  await page.mouse.move(c.x + c.width - 4, top + c.height * 3 / 24, { steps: 3 });
  await page.mouse.up();
  await page.waitForSelector('#form[open]');
  assert.equal(await page.inputValue('#start'), '2026-03-29T03:00');
  assert.equal(await page.inputValue('#end'), '2026-03-29T04:00');
});

test('autumn in Berlin: the hour that occurs twice keeps which one it was', async t => {
  const lab = await t.lab();
  const e = await put(lab, 'Second', '2026-10-25T01:30:00Z', '2026-10-25T02:30:00Z'); /* 02:30 CET */
  await put(lab, 'Across', '2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z'); /* 02:30 to 02:30 */
  await put(lab, 'All day', '2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z'); /* 25 hours */
  const page = await t.page(lab, { now: '2026-10-21T09:00:00Z' });

  await event(page, 'Second').waitFor();
  assert.deepEqual(await hours(page, 'Second'), [2.5, 3.5]);
  assert.deepEqual(await hours(page, 'Across'), [2.5, 3.5]);
  assert.deepEqual(await hours(page, 'All day'), [0, 24]);
  assert.equal(await event(page, 'All day').count(), 1);
  await event(page, 'Second').click();
  await page.fill('#title', 'Second, renamed');
  await save(page);
  await event(page, 'renamed').waitFor();
  const now = await lab.api('GET', `events/${e.id}`);
  assert.equal(now.start, '2026-10-25T01:30:00Z');
  assert.equal(now.end, '2026-10-25T02:30:00Z');
  /* The clock says the same of these, and an hour lies between. */
  await lab.api('DELETE', `events/${e.id}?rev=0`);
  await put(lab, 'Summer', '2026-10-25T00:10:00Z', '2026-10-25T00:40:00Z');
  await put(lab, 'Winter', '2026-10-25T01:10:00Z', '2026-10-25T01:25:00Z');
  await event(page, 'Winter').waitFor();
  assert.doesNotMatch(await event(page, 'Summer').getAttribute('title'), /Winter/);
  assert.match(await event(page, 'Winter').getAttribute('title'), /Across/);
});

test('midnight: an open page goes on to the next day', async t => {
  const page = await t.page(await t.lab(), { now: null, timezoneId: 'UTC',
    prepare: p => p.clock.install({ time: '2026-11-25T23:50:00Z' }) });
  const today = () => page.textContent('h3.is-today');

  assert.equal(await today(), 'Wed 25');
  /* The same week still: no screen reader says it again. */
  await page.evaluate(() => {
    window.said = 0;
    new MutationObserver(l => { window.said += l.length; }).observe(document.querySelector('#range'), { childList: true });
  });
  await page.clock.fastForward('15:00');
  await until('it is Thursday', async () => (await today()) === 'Thu 26');
  assert.equal(await page.evaluate(() => window.said), 0);
});

test('old: a year of two digits is that year', async t => {
  const lab = await t.lab();
  const page = await t.page(lab, { timezoneId: 'UTC' });

  await addEvent(page, 'Rome', '0026-11-25T09:00', '0026-11-25T10:00');
  await event(page, 'Rome').waitFor();
  assert.match(lab.cli('list', '--json'), /0026-11-25T09:00:00Z/);
});

for (const [zone, day, utc] of [
  ['America/New_York', '2026-03-08', 'T13:00:00Z'], ['America/New_York', '2026-11-01', 'T14:00:00Z'],
  ['Asia/Seoul', '2026-11-25', 'T00:00:00Z'], ['Asia/Kathmandu', '2026-11-25', 'T03:15:00Z']])
  test(`nine o'clock in ${zone} on ${day}`, async t => {
    const lab = await t.lab();
    const page = await t.page(lab, { timezoneId: zone, now: `${day}${utc}` });

    await addEvent(page, 'Nine', `${day}T09:00`, `${day}T10:00`);
    await event(page, 'Nine').waitFor();
    assert.deepEqual(await hours(page, 'Nine'), [9, 10]);
    await addEvent(page, 'Late', `${day}T23:15`, `${day}T23:45`);
    await event(page, 'Late').waitFor();
    assert.deepEqual(await hours(page, 'Late'), [23.25, 23.75]);
    /* The day's end is where the next one begins. */
    await page.click('#day');
    await until('this day has both', async () => (await titles(page)).join() === 'Nine,Late');
    await page.click('#after');
    await until('the next one has neither', async () => (await titles(page)).length === 0);
    await page.click('#add');
    const next = (await page.inputValue('#start')).slice(0, 10);
    await typeEvent(page, 'Early', `${next}T00:15`, `${next}T00:45`);
    await save(page);
    await event(page, 'Early').waitFor();
    assert.deepEqual(await titles(page), ['Early']);
    await page.click('#before');
    await until('it is not on this day', async () => (await titles(page)).join() === 'Nine,Late');
    await page.click('#week');
    await until('the week', async () => await page.locator('.column').count() === 7);
    assert.equal((await lab.api('GET', 'events')).events[0].start, `${day}${utc}`);
    /* The line of now, and the week that holds this day: all days are there. */
    const c = await box(page.locator('.column.is-today')), n = await box(page.locator('.now'));
    assert.ok(Math.abs((n.y - c.y) / c.height * 24 - 9) < 0.1, 'now is elsewhere');
    const names = await page.$$eval('.column ol', l => l.map(o => o.getAttribute('aria-label')));
    assert.equal(new Set(names).size, 7);
    assert.match(names[0], /^Monday/);
    assert.match(names[6], /^Sunday/);
  });
