/*
 * lab.mjs - what each test of the page stands on
 *
 *   test(name, f)   f gets a bench: labs and pages that are tidied up after it;
 *                   what f returns says why it was skipped
 *   bench.lab()     `ipclab web` in folders of its own, ended by its pid
 *   bench.page()    a tab on it, in the wanted time zone, language and size
 *   bench.still()   the same, whose clock is moved by the test
 *   until(...)      waits for something to become true, never for ever
 *
 * Run by run.sh. From the environment: IPCLAB_BIN, WEB_TESTS (the folder with
 * node_modules), JUNIT (a file for the results), CHROMIUM, SHOTS (a folder: what
 * the tests look at is saved), WEB_WAIT_MS.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

/* An import would look beside this file, where nothing is installed. */
const installed = createRequire(path.resolve(process.env.WEB_TESTS, 'package.json'));
const { chromium } = installed('playwright-core');
export const AXE = fs.readFileSync(installed.resolve('axe-core/axe.min.js'), 'utf8');

const BINARY = path.resolve(process.env.IPCLAB_BIN || 'build/ipclab');
/* Only what is broken waits so long; a slow and busy machine needs its time. */
export const WAIT_MS = Number(process.env.WEB_WAIT_MS || 60000); /* for anything */
export const TEST_MS = 10 * WAIT_MS;                             /* a whole test */

/* A Wednesday; the date of a page stands there unless a test wants another. Its
 * timers, and what it measures, go on. */
export const NOW = '2026-11-25T10:20:00Z';
const standStill = now => {
  window.Date = class extends Date {
    constructor(...a) { super(...(a.length ? a : [now])); }
    static now() { return now; }
  };
};

/* ---- waiting -------------------------------------------------------------- */

export const rest = ms => new Promise(r => setTimeout(r, ms));

/* Asks again until f() is truthy, and returns that. */
export async function until(what, f, ms = WAIT_MS) {
  const end = performance.now() + ms;
  for (;;) {
    const v = await f();
    if (v) return v;
    if (performance.now() > end) throw new Error(`in ${ms} ms not: ${what}`);
    await rest(10);
  }
}

function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, no) => {
    timer = setTimeout(() => no(new Error(`${what} took over ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/* ---- the lab: a gateway, and the store behind it --------------------------- */

/* Alive, and not only waiting to be reaped. (Its first thread may wait for that
 * while another one still ends, with all that the process has open.) */
export function lives(pid) {
  try {
    return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))
      || fs.readdirSync(`/proc/${pid}/task`).length > 1;
  } catch { return false; }
}

/* Below the ports that any kernel gives to connections: a lab that is started
 * again wants the same one, and nobody must have got it meanwhile. */
let ports = 11000 + Math.floor(Math.random() * 4000);
async function freePort() {
  for (;;) {
    const server = net.createServer(), port = ports++;
    const free = await new Promise(r => server.once('error', () => r(false)).listen(port, '127.0.0.1', () => r(true)));
    await new Promise(r => server.close(r));
    if (free) return port;
  }
}

let labs = 0;
const running = new Set();

/* Whatever ends this process early: nothing of ours stays. */
process.on('exit', () => {
  for (const l of running) {
    for (const p of l.programs) p.kill('SIGTERM'); /* its server goes with it */
    fs.rmSync(l.folder, { recursive: true, force: true });
  }
});
for (const s of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(s, () => process.exit(1));

export class Lab {
  constructor() {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ipclab-web-'));
    /* The names of queues and segments are the machine's, not a folder's. */
    this.name = `web${process.pid}-${++labs}`;
    this.env = { ...process.env, XDG_DATA_HOME: `${this.folder}/data`, XDG_RUNTIME_DIR: `${this.folder}/run` };
    for (const d of ['data', 'run']) fs.mkdirSync(`${this.folder}/${d}`, { mode: 0o700 });
    this.programs = [];
    this.port = 0;
    running.add(this);
  }

  /* One that goes on running: {child, line}: its first line with `word`. */
  async run(word, ...args) {
    const child = spawn(BINARY, ['-n', this.name, ...args], { env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    child.ended = new Promise(r => child.once('exit', r));
    this.programs.push(child);
    child.stdout.on('data', d => { out += d; });
    child.stderr.on('data', d => { out += d; });
    await until(`${args[0]} says ${word}`, () => {
      assert.equal(child.exitCode, null, `${args[0]} ended: ${out}`);
      return out.includes(word) && out.endsWith('\n');
    });
    return { child, out };
  }

  async web(...args) {
    this.port ||= await freePort();
    const { child, out } = await this.run('store pid', 'web', '--port', String(this.port), ...args);
    this.link = /ready: (\S+)/.exec(out)[1];
    this.store = Number(/store pid (\d+)/.exec(out)[1]);
    this.gateway = child.pid;
    this.child = child;
    return this;
  }

  /* A server beside the gateway, as `ipclab serve` makes it. */
  async serve() {
    const { child } = await this.run('ready', 'serve');
    this.store = child.pid;
  }

  /* ipclab ARGS to its end; what it printed. */
  cli(...args) {
    const r = spawnSync(BINARY, ['-n', this.name, ...args], { env: this.env, encoding: 'utf8', timeout: WAIT_MS });
    assert.equal(r.status, 0, `ipclab ${args.join(' ')}: ${r.stderr}`);
    return r.stdout;
  }

  /* Many events at once, as a file brings them. */
  fill(events) {
    const file = path.join(this.folder, 'events.json');
    fs.writeFileSync(file, JSON.stringify(events));
    this.cli('import', file);
  }

  raw(what, options = {}) {
    const headers = { Authorization: `Bearer ${this.link.split('#t=')[1]}`, 'Content-Type': 'application/json' };
    return fetch(`http://127.0.0.1:${this.port}/api/${what}`, { headers, ...options });
  }

  /* Straight to the API, as somebody else would: {status, and the answer}. */
  async api(method, what, body) {
    const r = await this.raw(what, { method, body: body && JSON.stringify(body) });
    return { status: r.status, ...await r.json() };
  }

  /* kill -9, and gone. */
  async kill(pid) {
    process.kill(pid, 'SIGKILL');
    await until(`process ${pid} has ended`, () => !lives(pid));
  }

  async stop(child = this.child) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await within(WAIT_MS, 'the end of ipclab', child.ended);
    }
  }

  async end() {
    for (const p of this.programs.reverse()) await this.stop(p).catch(() => p.kill('SIGKILL'));
    spawnSync(BINARY, ['-n', this.name, 'clean'], { env: this.env });
    fs.rmSync(this.folder, { recursive: true, force: true });
    running.delete(this);
  }
}

/* ---- tests ----------------------------------------------------------------- */

const tests = [];
export const test = (name, f, options = {}) => tests.push({ name, f, ...options });

/* Figures that are reported, not asserted. */
const figures = [];
export const figure = (what, value) => figures.push(`${what}: ${value}`);

class Bench {
  constructor(name, browser) { Object.assign(this, { name, browser, labs: [], contexts: [], noise: [] }); }

  async lab(...args) {
    const l = new Lab();
    this.labs.push(l);
    return l.web(...args);
  }

  /* A tab, and in it the page with the store's answer drawn. `now: null` leaves
   * it the real clock, and its timers; prepare(page) comes before anything is
   * loaded, drawn(page) waits. */
  async page(lab, { now = NOW, link = lab.link, prepare, drawn = known, ...options } = {}) {
    const context = await this.browser.newContext({
      viewport: { width: 1280, height: 860 }, locale: 'en-GB', timezoneId: 'Europe/Berlin',
      acceptDownloads: true, ...options,
    });
    this.contexts.push(context);
    context.setDefaultTimeout(WAIT_MS);
    const page = await context.newPage();
    if (now) {
      await page.addInitScript(standStill, Date.parse(now));
      /* What fades away after 8 s stays: no machine is too slow to read it. */
      await page.addInitScript(() => {
        const later = window.setTimeout;
        window.setTimeout = (f, ms, ...args) => later(f, ms >= 8000 ? 1e9 : ms, ...args);
      });
    }
    page.on('pageerror', e => this.noise.push(e.stack));
    page.on('console', m => {
      /* The browser's own line about a 409 or a 503, which are wanted. */
      if (m.type() === 'error' && !m.text().startsWith('Failed to load resource')
        && !this.wanted?.test(m.text())) this.noise.push(m.text());
    });
    await prepare?.(page);
    await page.goto(link, { waitUntil: 'commit' });
    await drawn(page);
    return page;
  }

  /* The same, but its time goes on by page.clock.runFor() alone. A click of the
   * mouse isn't over without it (api.js), so press keys. */
  async still(lab, options) {
    const page = await this.page(lab, { ...options, now: null, prepare: p => p.clock.install({ time: NOW }) });
    await page.clock.pauseAt('2026-11-25T11:00:00Z'); /* it went on while it was loaded */
    return page;
  }

  /* To be looked at, by people. */
  async shot(page, name, options = {}) {
    if (process.env.SHOTS)
      await page.screenshot({ path: path.join(process.env.SHOTS, `${name}.png`), ...options });
  }

  async end(failed) {
    if (failed && process.env.WEB_TESTS)
      for (const p of this.contexts.flatMap(c => c.pages()))
        await p.screenshot({ path: path.join(process.env.WEB_TESTS, `failed-${this.name.replace(/\W+/g, '-')}.png`) }).catch(() => {});
    for (const c of this.contexts) await c.close().catch(() => {});
    for (const l of this.labs) await l.end();
  }
}

/* The same form as the other tests' reports. */
const results = [];
function report(count) {
  const xml = s => String(s).replace(/[^\t\n -\u{10ffff}]/gu, '?')
    .replace(/[&<>"]/g, c => `&#${c.charCodeAt(0)};`);
  const one = r => `  <testcase classname="page" name="${xml(r.name)}" time="${(r.ms / 1000).toFixed(3)}">`
    + (r.error ? `<failure message="${xml(r.error.message)}">${xml(r.error.stack)}</failure>` : '')
    + (r.skipped ? `<skipped message="${xml(r.skipped)}"/>` : '') + '</testcase>\n';
  fs.writeFileSync(process.env.JUNIT, `<?xml version="1.0" encoding="UTF-8"?>\n`
    + `<testsuite name="page" tests="${results.length}" failures="${count.failed}" skipped="${count.skipped}">\n`
    + `${results.map(one).join('')}</testsuite>\n`);
}

async function runOne(t, browser) {
  const bench = new Bench(t.name, browser), begun = performance.now();
  let error = null, skipped;
  try {
    skipped = await within(TEST_MS, 'the test', t.f(bench));
    assert.deepEqual(bench.noise, [], 'the page complained');
  } catch (e) { error = e; }
  await bench.end(error);
  const ms = Math.round(performance.now() - begun);
  results.push({ name: t.name, ms, error, skipped });
  console.log(error ? `FAIL ${t.name} (${ms} ms)\n${error.stack}`
    : skipped ? `  skipped: ${t.name} (${skipped})` : `  ok ${t.name} (${ms} ms)`);
  return error ? 'failed' : skipped ? 'skipped' : 'passed';
}

const launch = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'], timeout: WAIT_MS });

/* Two lanes side by side; those that measure come last, alone. */
export async function runAll(only) {
  const browser = await launch();
  const wanted = tests.filter(t => !only || t.name.includes(only));
  const queue = wanted.filter(t => !t.alone), alone = wanted.filter(t => t.alone);
  const count = { passed: 0, failed: 0, skipped: 0 };
  const lane = async list => {
    while (list.length) count[await runOne(list.shift(), browser)]++;
  };
  await Promise.all([lane(queue), lane(queue)]);
  await lane(alone);
  await browser.close();
  for (const f of figures) console.log(`     ${f}`);
  if (process.env.JUNIT) report(count);
  console.log(`${count.passed} passed, ${count.failed} failed`);
  return count.failed === 0 && count.passed > 0;
}

/* ---- what many tests do ---------------------------------------------------- */

export async function typeEvent(page, title, start, end) {
  await page.fill('#title', title);
  await page.fill('#start', start);
  await page.fill('#end', end);
}

/* Until the dialog has gone: the event may be seen before, as a change that the
 * page heard of; and only then all is drawn and said that follows. */
export const closed = page => page.waitForSelector('#form', { state: 'hidden' });
export async function save(page) {
  await page.click('#save');
  await closed(page);
}

export async function addEvent(page, title, start, end) {
  await page.click('#add');
  await typeEvent(page, title, start, end);
  await save(page);
}

/* The same by the API, at once. */
export async function put(lab, title, start, end) {
  const e = await lab.api('POST', 'events', { title, start, end });
  assert.equal(e.status, 201, e.error);
  return e;
}

/* From now on an answer about whole days comes to the page only when it is let
 * come: letCome(page) waits for the oldest one, and when it returns the page has
 * done with it what it does. */
export const holdBack = page => page.evaluate(() => {
  const ask = window.fetch;
  window.answers = [];
  window.fetch = async (url, options) => {
    const reply = await ask(url, options);
    if (!/events\?from=[^&]*T23:00/.test(url)) return reply; /* midnight in Berlin */
    const { ok } = reply, answer = await reply.json();
    await new Promise(r => { window.answers.push(r); });
    return { ok, json: async () => answer };
  };
});
export const answered = page => page.waitForFunction(() => window.answers.length > 0);
export async function letCome(page) {
  await answered(page);
  await page.evaluate(() => { window.answers.shift()(); });
}

/* Not the empty grid that stands there until the store has answered. */
export const known = page => page.waitForSelector('.days:not(.unknown)');
export const titles = page => page.$$eval('.event b', l => l.map(b => b.textContent));
export const toast = page => page.textContent('#toast');
export const event = (page, title) => page.locator('.event', { has: page.locator('b', { hasText: title }) });

/* Where it stands on the screen. The grid is drawn anew whenever something has
 * changed: what was found just before is nowhere then, and is looked for again. */
export const box = locator => until(`${locator} is drawn`, () => locator.boundingBox());
