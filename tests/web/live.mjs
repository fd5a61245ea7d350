/*
 * live.mjs - changes of others, servers that go and come, and five ways there
 */
import assert from 'node:assert/strict';
import { TEST_MS, addEvent, answered, closed, event, figure, holdBack, letCome, put, rest, save, test, titles, toast, typeEvent, until } from './lab.mjs';

const DAY = ['2026-11-24T09:00:00Z', '2026-11-24T10:00:00Z'];
const banner = page => page.$eval('#banner', b => (b.hidden ? '' : b.textContent));

test('live: a change over a fifo appears without a reload', async t => {
  const lab = await t.lab();
  const page = await t.page(lab);
  await page.focus('.days h3:nth-of-type(3) button');

  for (const [title, args] of [
    ['From elsewhere', ['add', 'From elsewhere', ...DAY]],
    ['Renamed', ['update', '1', '--title', 'Renamed']]]) {
    lab.cli('-t', 'fifo', ...args);
    const begun = performance.now();
    await event(page, title).waitFor();
    figure(`${args[0]} over fifo by the command line, to visible`, `${Math.round(performance.now() - begun)} ms`);
  }
  lab.cli('-t', 'mqueue', 'remove', '1');
  await until('it has gone', async () => (await titles(page)).length === 0);
  /* Who was on the keyboard there still is. */
  assert.equal(await page.evaluate(() => document.activeElement.closest('h3')?.textContent), 'Wed 25');
});

test('live: a tab that nobody sees asks nothing, and is true when it is seen', async t => {
  const lab = await t.lab();
  const asked = [], open = new Set();
  const page = await t.page(lab, { prepare: async p => {
    p.on('request', r => { asked.push(r.url()); open.add(r); });
    for (const over of ['requestfinished', 'requestfailed']) p.on(over, r => open.delete(r));
  } });
  const count = word => asked.filter(u => u.includes(word)).length;
  const see = seen => page.evaluate(hidden => {
    Object.defineProperty(document, 'hidden', { configurable: true, value: hidden });
    dispatchEvent(new Event('visibilitychange'));
  }, !seen);

  /* The ways twice: at first, and with what the first answer took. */
  await until('it only waits for changes', () => count('changes') && count('transports') === 2);
  await see(false);
  await until('it has hung up', () => open.size === 0);
  asked.length = 0;
  await put(lab, 'Meanwhile', ...DAY);
  await rest(1000);
  assert.deepEqual(asked, []);
  assert.deepEqual(await titles(page), []);
  await see(true);
  await event(page, 'Meanwhile').waitFor();
});

test('live: two tabs show the same, also what both saved at once', async t => {
  const lab = await t.lab();
  const one = await t.page(lab), two = await t.page(lab);

  await Promise.all([
    addEvent(one, 'From one', '2026-11-24T09:00', '2026-11-24T10:00'),
    addEvent(two, 'From two', '2026-11-24T11:00', '2026-11-24T12:00')]);
  for (const p of [one, two]) {
    await event(p, 'From one').waitFor();
    await event(p, 'From two').waitFor();
  }
});

/* A page whose question for changes is held back until open() is called. */
async function deaf(t, lab) {
  let open;
  const gate = new Promise(r => { open = r; });
  const page = await t.page(lab, { prepare: p => p.route('**/api/changes*', async route => {
    await gate;
    await route.continue().catch(() => {}); /* the page may be gone by then */
  }) });
  return { page, open };
}

test('live: what others did just before our own change is seen, too', async t => {
  const lab = await t.lab(), { page, open } = await deaf(t, lab);

  await page.waitForSelector('.way');
  await put(lab, 'Theirs', ...DAY);
  await addEvent(page, 'Ours', '2026-11-25T11:00', '2026-11-25T12:00');
  assert.deepEqual(await titles(page), ['Ours']);
  open();
  await event(page, 'Theirs').waitFor();
  assert.deepEqual((await titles(page)).sort(), ['Ours', 'Theirs']);
});

test('live: what we have removed is not brought back by an older answer', async t => {
  const lab = await t.lab(), { rev } = await put(lab, 'Removed', ...DAY);
  const { page, open } = await deaf(t, lab);

  await event(page, 'Removed').waitFor();
  await holdBack(page);
  await page.click('#today');
  await answered(page); /* and the event is in it */
  await event(page, 'Removed').click();
  await page.click('#remove');
  await until('it has gone', async () => (await titles(page)).length === 0);
  await letCome(page);
  assert.deepEqual(await titles(page), [], 'the older answer has brought it back');
  await letCome(page);
  assert.deepEqual(await titles(page), []);
  /* And when it has heard of all changes, and only waits for the next one. */
  const next = page.waitForRequest(r => r.url().includes(`changes?rev=${rev + 1}&`));
  open();
  await next;
  assert.deepEqual(await titles(page), []);
});

test('live: what we have saved is not taken away by an older answer', async t => {
  const { page, open } = await deaf(t, await t.lab());

  await holdBack(page);
  await page.click('#today');
  await answered(page); /* and it is empty */
  await addEvent(page, 'Saved', '2026-11-25T14:00', '2026-11-25T15:00');
  await letCome(page);
  assert.deepEqual(await titles(page), ['Saved'], 'the older answer has taken it away');
  await letCome(page); /* it was asked again */
  assert.deepEqual(await titles(page), ['Saved']);
  open();
});

/* A page with one event, and another one being typed. */
async function typing(t, lab) {
  await put(lab, 'Before', ...DAY);
  const page = await t.page(lab);
  await event(page, 'Before').waitFor();
  await page.click('#add');
  await typeEvent(page, 'Typed with care', '2026-11-25T09:00', '2026-11-25T10:00');
  return page;
}

test('store gone: the page says so, keeps what is typed, and goes on', async t => {
  const lab = await t.lab(), page = await typing(t, lab);

  await lab.kill(lab.store);
  await until('the page says so', async () => (await banner(page)).includes(`store can’t be reached (`));
  await until('and what to type', async () => (await banner(page)).includes(`ipclab -n ${lab.name} serve`));
  await page.click('#save');
  await until('the form, too', async () => /store can’t be reached/.test(await page.textContent('#form-error')));
  await t.shot(page, 'store-gone');
  await page.selectOption('#language', 'ko'); /* beside the dialog: by the test, no person can */
  assert.match(await banner(page), /저장소에 연결할 수 없습니다/);
  await page.selectOption('#language', 'en');
  assert.match(await banner(page), /store can’t be reached/);
  assert.deepEqual(await titles(page), ['Before'], 'what was shown stays');
  assert.doesNotMatch(await page.textContent('#grid'), /No events/);

  await lab.serve();
  await until('the page goes on', async () => (await banner(page)) === '');
  await until('and says it', async () => /It works again/.test(await toast(page)));
  assert.equal(await page.textContent('#form-error'), 'It works again.');
  assert.equal(await page.inputValue('#title'), 'Typed with care');
  assert.equal(await page.inputValue('#start'), '2026-11-25T09:00');
  await save(page);
  await event(page, 'Typed with care').waitFor();
  assert.match(lab.cli('list'), /Before[^]*Typed with care/);
  await until('the pipe is out', async () => page.locator('.way input[value=pipe]').isDisabled());
});

test('store gone: over the pipe another way is chosen, and the title is kept', async t => {
  const lab = await t.lab(), page = await t.page(lab);

  await page.check('.way input[value=pipe]');
  await page.waitForSelector('.way.chosen input[value=pipe]');
  await page.click('#add');
  await typeEvent(page, 'Typed with care', '2026-11-25T09:00', '2026-11-25T10:00');
  await lab.kill(lab.store);
  await lab.serve();
  await page.click('#save');
  await until('it says what to do', async () => /choose another way/.test(await page.textContent('#form-error')));
  await page.keyboard.press('Escape');
  await closed(page);
  await page.check('.way input[value=shm]');
  await page.waitForSelector('.way.chosen input[value=shm]');
  await page.click('#add');
  assert.equal(await page.inputValue('#title'), 'Typed with care');
  await save(page);
  await event(page, 'Typed with care').waitFor();
  await page.click('#add');
  assert.equal(await page.inputValue('#title'), '', 'it has been saved');
});

test('store gone: a page that is opened then waits, and asks now and then', async t => {
  const lab = await t.lab();
  await lab.kill(lab.store);
  /* From an answer to the next question, by the page's own clock: a slow machine
   * makes this longer, never shorter. */
  const page = await t.page(lab, { drawn: p => p.waitForSelector('.days'),
    prepare: p => p.addInitScript(() => {
      const ask = window.fetch;
      let answered = 0;
      window.rests = [];
      window.fetch = async (url, options) => {
        if (!/changes/.test(url)) return ask(url, options);
        if (answered) window.rests.push(performance.now() - answered);
        const reply = await ask(url, options);
        answered = performance.now();
        return reply;
      };
    }) });

  const rests = await until('it asks on', () => page.evaluate(() => window.rests.length > 4 && window.rests));
  assert.ok(Math.min(...rests) > 400, `without any rest: ${rests}`);
  await lab.serve();
  await until('the page goes on', async () => (await banner(page)) === '');
});

test('store gone: Undo fails, is offered again, and works then', async t => {
  const lab = await t.lab();
  await put(lab, 'Precious', ...DAY);
  const page = await t.page(lab);

  await event(page, 'Precious').click();
  await page.click('#remove');
  await until('Undo is there', async () => /Undo/.test(await toast(page)));
  await lab.kill(lab.store);
  await page.click('#toast >> text=Undo');
  await until('it failed', async () => /can’t be reached.*Undo/.test(await toast(page)));
  await lab.serve();
  await until('the page goes on', async () => (await banner(page)) === '');
  await page.click('#toast >> text=Undo');
  await event(page, 'Precious').waitFor();
  assert.equal(lab.cli('list').match(/Precious/g).length, 1);
});

test('gateway gone: the new link in the same tab, and nothing typed is lost', async t => {
  const lab = await t.lab(), page = await typing(t, lab);

  await lab.stop();
  await until('the page says so', async () => /gateway doesn’t answer/.test(await banner(page)));
  await page.click('#save');
  await until('the form, too', async () => /gateway doesn’t answer/.test(await page.textContent('#form-error')));
  await t.shot(page, 'gateway-gone');
  await lab.web(); /* on the same port, with a new key */
  await until('the page asks for it', async () => /holds the key/.test(await banner(page)));
  await page.goto(lab.link);
  await until('the page goes on', async () => (await banner(page)) === '');
  assert.equal(await page.inputValue('#title'), 'Typed with care');
  await save(page);
  await event(page, 'Typed with care').waitFor();
  assert.ok(!page.url().includes('#'));
});

test('five ways: chosen one after another while the page is used', async t => {
  const lab = await t.lab();
  const page = await t.page(lab, { viewport: { width: 1280, height: 1400 } });
  const names = ['shm', 'mqueue', 'fifo', 'pipe', 'socket'];
  let going = true, n = 0;
  let mishap = null;
  /* Somebody else, without a pause. */
  const other = (async () => {
    for (; going; n++) await put(lab, `other ${n}`, '2026-12-01T09:00:00Z', '2026-12-01T10:00:00Z');
  })().catch(e => { mishap = e; });

  await page.click('#race');
  for (const name of names) {
    await page.check(`.way input[value=${name}]`);
    await page.waitForSelector(`.way.chosen input[value=${name}]`);
    const [reply] = await Promise.all([
      page.waitForResponse(r => r.request().method() === 'POST'),
      addEvent(page, `over ${name}`, '2026-11-24T09:00', '2026-11-24T10:00')]);
    assert.equal((await reply.json()).journey.transport, name);
  }
  going = false;
  await other;
  assert.equal(mishap, null);
  const list = (await lab.api('GET', 'events')).events.map(e => e.title);
  for (const name of names) assert.equal(list.filter(x => x === `over ${name}`).length, 1);
  assert.equal(list.filter(x => x.startsWith('other ')).length, n, 'one was lost, or is there twice');
  assert.ok(n > 0);
  await until('all were asked', async () => page.isEnabled('#race'), TEST_MS);
  const ways = (await lab.api('GET', 'transports')).ways;
  for (const w of ways) assert.ok(w.count >= 50, `${w.name}: ${w.count} round trips`);
  /* A bar for each p50 and p99, all on one scale. */
  const bars = await page.$$eval('.way .bar', l => l.map(b => parseFloat(b.style.width)));
  assert.equal(bars.length, 10);
  const p50 = bars.filter((_, i) => i % 2 === 0);
  assert.equal(Math.max(...p50), 25, 'the greatest is a quarter');
  assert.ok(Math.min(...p50) < 25, 'each has a scale of its own');
  assert.equal(await page.locator('.way .times').count(), 5);
  await t.shot(page, 'ways');
});

test('journey: each hop of a change, and that they add up', async t => {
  const lab = await t.lab();
  const page = await t.page(lab);

  const [reply] = await Promise.all([
    page.waitForResponse(r => r.request().method() === 'POST'),
    addEvent(page, 'Measured', '2026-11-24T09:00', '2026-11-24T10:00')]);
  const { journey } = await reply.json();
  const places = await page.$$eval('#hops .place', l => l.map(p => p.textContent));
  assert.deepEqual(places, ['browser', `gateway process ${lab.gateway}`, `store process ${lab.store}`, 'journal', `store process ${lab.store}`, `gateway process ${lab.gateway}`]);
  assert.deepEqual(journey.hops.map(h => h.hop).filter(h => h !== 'turn'), ['gateway', 'there', 'store', 'journal', 'back', 'reply']);
  const [, n, unit] = /: (\S+) (µs|ms|s) in all/.exec(await page.textContent('#asked'));
  const whole = n * { µs: 0.001, ms: 1, s: 1000 }[unit];
  const hops = journey.hops.reduce((sum, h) => sum + h.ns, 0) / 1e6;
  assert.ok(hops > 0 && hops <= whole * 1.01 + 0.2, `${hops} of ${whole} ms`);
  assert.equal(await page.locator('#hops .hop').count(), journey.hops.length + 1);

  /* Several round trips are one hop: nobody has timed what is inside. */
  lab.fill(Array.from({ length: 300 }, (_, i) => ({ title: `Event ${i}`, start: '2026-11-26T09:00:00Z', end: '2026-11-26T10:00:00Z' })));
  await page.click('input[value=mqueue]');
  await page.waitForSelector('.way.chosen input[value=mqueue]');
  await page.click('#today');
  await until('several trips', async () => /mqueue: all round trips/.test(await page.textContent('#hops')));
});
