/*
 * reach.mjs - without a mouse, without eyes, with little light
 */
import assert from 'node:assert/strict';
import { AXE, closed, event, known, put, test, titles, until } from './lab.mjs';
import { semester } from './views.mjs';

/* What axe-core finds wrong in this state of the page. */
async function judge(page, state) {
  await page.evaluate(AXE);
  /* What comes in slowly has come, or has been drawn anew. */
  await page.evaluate(() => Promise.allSettled(document.getAnimations().map(a => a.finished)));
  const found = await page.evaluate(async () => (await axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })).violations
    .map(v => `${v.id}: ${v.nodes.slice(0, 3).map(n => `${n.html} ${n.any[0]?.message || ''}`).join(' | ')}`));
  assert.deepEqual(found, [], state);
}

for (const colorScheme of ['light', 'dark'])
  test(`axe: nothing to complain of, ${colorScheme}`, async t => {
    const lab = await t.lab();
    await semester(lab);
    const page = await t.page(lab, { timezoneId: 'UTC', colorScheme });

    await event(page, 'Open day').waitFor();
    await t.shot(page, `week-${colorScheme}`);
    await judge(page, 'week');
    await page.fill('#search', 'lab');
    await page.waitForSelector('#found button');
    await judge(page, 'found');
    await page.click('#day');
    await known(page);
    await judge(page, 'day');
    await page.click('#week');
    await known(page);
    await event(page, 'Physics').first().click();
    await until('the form tells what overlaps', async () => /Study group/.test(await page.textContent('#conflicts')));
    await judge(page, 'form');
    await page.fill('#title', '');
    await page.click('#save');
    await judge(page, 'mistake');
    await page.fill('#title', 'Mine');
    const e = (await lab.api('GET', 'events')).events.find(x => x.title === 'Physics');
    await lab.api('PUT', `events/${e.id}`, { ...e, title: 'Theirs' });
    await page.click('#save');
    await page.waitForSelector('#theirs:not([hidden])');
    await t.shot(page, `versions-${colorScheme}`);
    await judge(page, 'versions');
    await page.keyboard.press('Escape');
    await event(page, 'Sports').click();
    await page.click('#remove');
    await until('Undo is there', async () => /Undo/.test(await page.textContent('#toast')));
    await judge(page, 'undo');
    await page.selectOption('#language', 'ko');
    await judge(page, 'Korean');
    await lab.kill(lab.store);
    await page.waitForSelector('#banner:not([hidden])');
    await t.shot(page, `gone-${colorScheme}`);
    await judge(page, 'store gone');
    await page.click('#after');
    await until('what isn’t known looks so', () => page.evaluate(() =>
      document.getAnimations().length > 0 && document.getAnimations().every(a => a.playState === 'finished')));
    await t.shot(page, `unknown-${colorScheme}`);
    await judge(page, 'unknown week');
    await page.click('#before');
    await page.click('#day');
    await page.setViewportSize({ width: 360, height: 740 });
    await until('one column', async () => await page.locator('.column').count() === 1);
    assert.equal(await page.locator('.unknown').count(), 0, 'its week is known');
    await judge(page, 'narrow');
  });

/* Tab until the focus is on what `selector` says. */
async function tabTo(page, selector, most = 60) {
  for (let i = 0; i < most; i++) {
    if (await page.evaluate(s => document.activeElement.matches(s), selector)) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`${most} times Tab, and not at ${selector}`);
}

test('keyboard: the whole way without a mouse', async t => {
  const lab = await t.lab();
  await put(lab, 'Already there', '2026-11-23T09:00:00Z', '2026-11-23T10:00:00Z');
  const page = await t.page(lab);
  await event(page, 'Already there').waitFor();
  const focused = words => until(`the focus is on ${words}`, () => page.evaluate(w => document.activeElement.textContent.includes(w), words));
  const key = (...keys) => keys.reduce((p, k) => p.then(() => page.keyboard.press(k)), Promise.resolve());

  await key('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
  await t.shot(page, 'skip');
  await key('Enter');
  await until('it has led there', () => page.evaluate(() => document.activeElement.id === 'grid'));
  await key('Tab'); /* Monday: add an event on it */
  await key('Enter');
  await page.waitForSelector('#form[open]');
  assert.equal(await page.inputValue('#start'), '2026-11-23T09:00');
  await page.keyboard.type('By keys');
  await key('Enter');
  await closed(page);
  await focused('By keys');
  await key('Enter');
  await page.waitForSelector('#form[open]');
  await page.keyboard.type('Changed by keys');
  await tabTo(page, '#save');
  await key('Space');
  await closed(page);
  await focused('Changed by keys');
  await key('Enter');
  await page.waitForSelector('#form[open]');
  await tabTo(page, '#remove');
  await key('Enter');
  await closed(page);
  assert.deepEqual(await titles(page), ['Already there']);
  await focused('Undo');
  await key('Enter');
  await focused('Changed by keys');

  await key('ArrowRight');
  await until('the next week', async () => /30 November/.test(await page.textContent('#range')));
  await key('ArrowLeft', 'ArrowLeft', 't');
  await until('this week', async () => /^23/.test(await page.textContent('#range')));
  await key('/');
  await page.keyboard.type('already');
  await page.waitForSelector('#found button');
  await tabTo(page, '#found button');
  await key('Enter');
  await until('it is found', () => page.evaluate(() => /Already there/.test(document.activeElement.textContent) && document.activeElement.matches('.event')));
  await key('n');
  await page.waitForSelector('#form[open]');
  await key('Escape');
  await closed(page);

  await tabTo(page, '#keys', 120); /* who doesn't want the keys */
  await key('Space');
  await page.reload();
  await event(page, 'Already there').waitFor();
  await key('n', 'ArrowRight', 'Tab');
  assert.equal(await page.isVisible('#form'), false);
  assert.match(await page.textContent('#range'), /^23/);
  await tabTo(page, '#keys', 120);
  await key('Space', 'n');
  assert.equal(await page.isVisible('#form'), false, 'a key in an input is the input’s');
  await page.evaluate(() => document.activeElement.blur());
  await key('n');
  await page.waitForSelector('#form[open]');
  await key('Escape');
  await closed(page);

  await page.waitForSelector('.way');
  await tabTo(page, '.way input', 90);
  await key('ArrowDown');
  await page.waitForSelector('.way.chosen input[value=shm]');
  assert.equal(await page.evaluate(() => document.activeElement.value), 'shm');
  await tabTo(page, '#language');
  await key('ArrowDown');
  await until('Korean', async () => (await page.textContent('h1')) === '시간표');
});

test('focus: each thing that has it shows it', async t => {
  const lab = await t.lab();
  await put(lab, 'Already there', '2026-11-23T09:00:00Z', '2026-11-23T10:00:00Z');
  const page = await t.page(lab);
  await event(page, 'Already there').waitFor();
  await page.waitForSelector('#race:enabled');
  const seen = new Set();

  for (let i = 0; i < 40; i++) {
    await page.keyboard.press('Tab');
    const [name, shown] = await page.evaluate(() => {
      const e = document.activeElement, s = x => getComputedStyle(x).outlineStyle !== 'none';
      return [e.id || e.className || e.textContent, s(e) || s(e.parentElement) || e === document.body];
    });
    assert.ok(shown, `${name} doesn't show that it has the focus`);
    seen.add(name);
  }
  for (const id of ['before', 'today', 'after', 'week', 'day', 'add', 'search', 'race', 'file', 'save-json', 'language'])
    assert.ok(seen.has(id), `Tab doesn't come to ${id}`);
});

test('names: what a screen reader says', async t => {
  const lab = await t.lab();
  await semester(lab);
  const page = await t.page(lab, { timezoneId: 'UTC' });

  await event(page, 'Open day').waitFor();
  await page.waitForSelector('.way.chosen');
  const tree = await page.locator('body').ariaSnapshot();
  for (const line of [
    /heading "Timetable" \[level=1\]/, /button "Previous"/, /button "Next"/, /button "Week" \[pressed\]/,
    /list "Wednesday,? 25 November 2026"/, /heading "Wed 25" \[level=3\]/, /button "Wed 25"/,
    /button "Seminar 11:30 – 13:00"/, /searchbox "Search"/, /radio "socket.*" \[checked\]/, /combobox "Language"/])
    assert.match(tree, line);
  assert.match(await event(page, 'Seminar').evaluate(b => b.title), /At the same time: Office hours/);
});
