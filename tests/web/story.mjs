/*
 * story.mjs - what this page is for: what was entered is there afterwards
 */
import assert from 'node:assert/strict';
import { addEvent, event, lives, test, titles, toast, until } from './lab.mjs';

test('story: add, reload, close the browser, kill -9, start again, still there', async t => {
  const lab = await t.lab();
  let page = await t.page(lab);

  assert.equal(await page.textContent('.free'), 'No events');
  await t.shot(page, 'empty');
  await addEvent(page, 'Operating systems', '2026-11-23T09:00', '2026-11-23T11:00');
  await until('it is shown', async () => (await titles(page)).includes('Operating systems'));
  assert.match(await toast(page), /“Operating systems” is saved\./);

  await page.reload();
  await event(page, 'Operating systems').waitFor();
  assert.ok(!page.url().includes('#'), 'the key stands in the address');

  await page.context().close();
  page = await t.page(lab);
  await event(page, 'Operating systems').waitFor();

  await page.context().close();
  await lab.kill(lab.store);
  await lab.kill(lab.gateway);
  await lab.web();
  assert.ok(lives(lab.store));
  page = await t.page(lab);
  await event(page, 'Operating systems').waitFor();
  assert.match(await event(page, 'Operating systems').textContent(), /9:00 – 11:00/);
});

test('story: without the key nothing is shown, and the page says what to do', async t => {
  const lab = await t.lab();
  lab.cli('add', 'Secret', '2026-11-23T09:00:00Z', '2026-11-23T10:00:00Z');
  const page = await t.page(lab, { link: lab.link.split('#')[0], drawn: p => p.waitForSelector('.days') });
  await page.waitForSelector('#banner:not([hidden])');
  assert.match(await page.textContent('#banner'), /link that “ipclab web” printed/);
  assert.deepEqual(await titles(page), []);
  assert.equal(await page.locator('.free').count(), 0, 'nobody knows whether there are none');
  await page.selectOption('#language', 'ko'); /* all is drawn anew */
  await page.selectOption('#language', 'en');
  assert.ok(await page.isDisabled('#race'), 'there is no way to ask over');
  await t.shot(page, 'no-key');
});
