/*
 * speed.mjs - figures, and that a full week still moves; nothing here fails
 * for being slow, but for not being there at all
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { addEvent, closed, figure, rest, test, typeEvent, until } from './lab.mjs';

const FOLDER = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../socket/web/page');

/* The week of the page's date. */
const at = (day, minute) => new Date(Date.UTC(2026, 10, 23 + day, 0, minute)).toISOString();

/* n events in this week, of half an hour to two hours. */
const many = n => Array.from({ length: n }, (_, i) => {
  const begin = (i * 37) % 1200 + 120, end = begin + 30 + (i * 13) % 90;
  return { title: `Event ${i}`, start: at(i % 7, begin).replace('.000', ''), end: at(i % 7, end).replace('.000', '') };
});

/* In the page, before it is loaded: says when n events have been painted. */
const watch = n => {
  const look = () => {
    if (document.querySelectorAll('.event').length < n) requestAnimationFrame(look);
    else requestAnimationFrame(() => console.log(performance.now()));
  };
  requestAnimationFrame(look);
};

/* The time from following the link until all n events are painted, as a person
 * has it, whose browser runs and has nothing else to do: a new tab is given a
 * moment to come to rest, and nothing is asked of the page meanwhile (asking
 * makes it load the driver's own script). */
async function loaded(t, lab, n) {
  let said;
  const page = await t.page(lab, { timezoneId: 'UTC',
    prepare: async p => {
      await p.addInitScript(watch, n);
      said = p.waitForEvent('console');
      said.catch(() => {}); /* whoever waits for it is told, too */
      await rest(1000);
    },
    drawn: () => said });
  return { page, ms: Number((await said).text()) };
}

const spread = list => `${Math.round(middle(list))} ms (${Math.round(list[0])} to ${Math.round(list.at(-1))})`;
const middle = list => list.sort((a, b) => a - b)[Math.floor(list.length / 2)];

test('size: the page is small', () => {
  const bytes = fs.readdirSync(FOLDER).reduce((sum, f) => sum + fs.statSync(path.join(FOLDER, f)).size, 0);
  figure('the page, all of it', `${(bytes / 1000).toFixed(1)} kB`);
  assert.ok(bytes < 60000, `${bytes} bytes`);
});

test('speed: the first page with 100 events, and from Save to visible', async t => {
  const lab = await t.lab();
  lab.fill(many(100));
  const first = [], saved = [];
  let page;

  for (let i = 0; i < 9; i++) {
    await page?.context().close();
    const l = await loaded(t, lab, 100);
    page = l.page;
    first.push(l.ms);
  }
  for (let i = 0; i < 9; i++) {
    await page.click('#add');
    await typeEvent(page, `Saved ${i}`, at(2, 540).slice(0, 16), at(2, 600).slice(0, 16));
    saved.push(await page.evaluate(title => new Promise(done => {
      const begun = performance.now();
      const look = () => {
        if (![...document.querySelectorAll('.event b')].some(b => b.textContent === title)) requestAnimationFrame(look);
        else requestAnimationFrame(() => done(performance.now() - begun));
      };
      document.getElementById('save').click();
      look();
    }), `Saved ${i}`));
    await closed(page);
  }
  figure('first page with 100 events, complete (p50, best and worst of 9)', `${spread(first)}`);
  figure('Save to visible (p50, best and worst of 9)', `${spread(saved)}`);
}, { alone: true });

test('speed: 1,000 events in a week', async t => {
  const lab = await t.lab();
  lab.fill(many(1000));
  const page = await t.page(lab, { timezoneId: 'UTC' });

  await until('all are shown', async () => await page.locator('.event').count() === 1000);
  await t.shot(page, 'thousand');
  const frames = await page.evaluate(() => new Promise(done => {
    const box = document.getElementById('grid'), times = [];
    let last = performance.now();
    const step = now => {
      times.push(now - last);
      last = now;
      box.scrollTop = times.length * 8;
      if (times.length < 60) requestAnimationFrame(step);
      else done(times.slice(1));
    };
    requestAnimationFrame(step);
  }));
  const drawn = await page.evaluate(() => {
    const begun = performance.now();
    document.getElementById('language').dispatchEvent(new Event('change'));
    document.querySelector('.days').getBoundingClientRect();
    return performance.now() - begun;
  });
  figure('1,000 events: a frame while scrolling (p50, worst of 59)', `${Math.round(middle(frames))} ms, ${Math.round(frames.at(-1))} ms`);
  figure('1,000 events: drawn anew', `${Math.round(drawn)} ms`);
  await page.evaluate(() => { document.getElementById('grid').scrollTop = 0; });
  await addEvent(page, 'One more', at(2, 180).slice(0, 16), at(2, 240).slice(0, 16));
  await until('1,001', async () => await page.locator('.event').count() === 1001);
}, { alone: true });
