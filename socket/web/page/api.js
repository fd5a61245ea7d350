/*
 * api.js - the page's only way out: requests to the gateway
 *
 * The key came in the link's fragment, which a browser never sends anywhere.
 * It is kept for this tab, so that a reload works, and taken out of the
 * address, so that nobody reads it over your shoulder.
 */
const KEY = 'ipclab-key';
let key = '', haveKey = () => {};

function takeKey() {
  const given = /^#t=([0-9a-f]{64})$/.exec(location.hash);
  key = given?.[1] || key || sessionStorage.getItem(KEY) || '';
  if (!given) return;
  haveKey();
  setTimeout(() => { /* neither is fast, and the first request needs neither */
    sessionStorage.setItem(KEY, key);
    history.replaceState(null, '', location.pathname);
  });
}

takeKey();
/* Another link of the same port, put into this tab's address: a browser then
 * loads nothing anew, so that what is being typed stays. */
addEventListener('hashchange', takeKey);
export const nextKey = () => new Promise(r => { haveKey = r; });

/* With what the gateway said (code, field, current), or code 'no-gateway'. */
const failure = answer => Object.assign(new Error(answer.error), answer);

/* Between press and release nothing is drawn anew, or the click would be lost:
 * answers wait. (A menu may swallow the release.) */
export let held = null;
let release = () => {};
/* The click comes first; a finger's is a task of its own. */
const letGo = e => setTimeout(() => { held = null; release(); }, e.pointerType === 'touch' ? 50 : 0);
addEventListener('pointerdown', e => {
  if (!e.button && e.target.closest('button, label, .column')) held ||= new Promise(r => { release = r; });
}, true);
for (const over of ['pointerup', 'pointercancel', 'blur']) addEventListener(over, letGo);
addEventListener('pointermove', e => { if (held && !e.buttons) letGo(e); });

/* Called with what was asked, the journey and the time in ms. */
let watcher = () => {};
export const onJourney = f => { watcher = f; };

export async function ask(method, path, body, options = {}) {
  const headers = { Authorization: `Bearer ${key}` };
  const begun = performance.now();
  let reply, answer, ms;

  if (body !== undefined) headers['Content-Type'] = options.type || 'application/json';
  try {
    reply = await fetch(`/api/${path}`, {
      method, headers, signal: options.signal, cache: 'no-store',
      body: options.type ? body : JSON.stringify(body),
    });
    if (options.raw && reply.ok) return await reply.blob();
    answer = await reply.json();
    ms = performance.now() - begun;
  } catch (e) {
    if (e.name === 'AbortError') throw e;
    throw failure({ code: 'no-gateway', error: e.message });
  } finally { await held; }
  if (answer.journey && !options.quiet)
    watcher(`${method} /api/${path.split('?')[0]}`, answer.journey, ms);
  if (reply.ok) return answer;
  throw failure(answer);
}

/* A token makes a change that is asked twice happen once. */
export const token = () => crypto.randomUUID().replaceAll('-', '').slice(-16);

export const dates = e => ({ ...e, start: new Date(e.start), end: new Date(e.end) });

export const list = async (from, to, options) => {
  const q = from ? `?from=${from}&to=${to}` : '';
  const r = await ask('GET', `events${q}`, undefined, options);
  return { rev: r.rev, events: r.events.map(dates) };
};
export const add = async e => dates(await ask('POST', 'events', e));
export const change = async (id, e) => dates(await ask('PUT', `events/${id}`, e));
export const remove = (id, rev, token) => ask('DELETE', `events/${id}?rev=${rev}&token=${token}`);
