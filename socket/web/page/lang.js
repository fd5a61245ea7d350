/*
 * lang.js - what the page says, in English and Korean
 *
 * An element with data-text="key" shows that text, one with data-label="key"
 * has it as its name for screen readers. Texts are set as text, never as HTML.
 * The gateway's codes (../api.h) are keys, too.
 */
const texts = {
  en: {
    name: 'Timetable', skip: 'Skip to the timetable', weeks: 'Weeks',
    previous: 'Previous', next: 'Next', today: 'Today', view: 'View',
    week: 'Week', day: 'Day', add: 'Add', search: 'Search',
    found: 'Found', none: 'Nothing found', journey: 'What just happened',
    ways: 'Five ways to the store', race: 'Ask each way 50 times',
    files: 'Files', open: 'Open a file …', saveJson: 'Save as JSON', saveIcs: 'Save as .ics',
    language: 'Language', keys: 'Keys: N new, T today, / search, ← →', title: 'Title', start: 'Start', end: 'End',
    save: 'Save', cancel: 'Cancel', remove: 'Remove', newEvent: 'New event',
    editEvent: 'Change event', undo: 'Undo', dismiss: 'Dismiss',
    addOn: d => `Add an event on ${d}`,
    removed: t => `“${t}” is removed.`, saved: t => `“${t}” is saved.`,
    imported: (n, m) => `Imported: ${n}. There before: ${m}.`,
    importFailed: why => `Nothing was imported: ${why}`,
    overlaps: 'At the same time:', 'empty-title': 'Give it a title.',
    badTime: 'Enter a date and a time.', skipped: 'The clocks skip this time.',
    'end-before-start': 'The end must be after the start.',
    'long-title': 'At most 255 bytes: this is too long.',
    'bad-title': 'It has a character that can’t be stored.',
    'no-space': 'The store is full: nothing was saved.',
    'read-only': 'The data file failed: the store takes no more changes.',
    changed: 'Somebody else has changed this event meanwhile.',
    theirs: 'Theirs', yours: 'Yours', keepMine: 'Save mine',
    takeTheirs: 'Take theirs', gone: 'Somebody else has removed this event. Save it to add it again.',
    unreachable: why => `The store can’t be reached (${why}). What you type is kept, and this page goes on by itself when the store is back. To start it, type: ${about.lab} serve`,
    'no-gateway': () => `The gateway doesn’t answer. What you type is kept. Type: ${about.lab} web --port ${location.port}, and put its new link into this tab’s address.`,
    'no-key': 'Open this page by the link that “ipclab web” printed: it holds the key.',
    back: 'It works again.',
    browser: 'browser', gateway: 'gateway', store: 'store', journal: 'journal',
    pid: n => `process ${n}`, hopHttp: 'HTTP over loopback, and the browser itself',
    hop: {
      gateway: 'the gateway reads the request',
      turn: 'it waits for its turn',
      trips: 'all round trips',
      there: 'request to the store',
      store: 'the store does it',
      journal: 'the journal’s line goes to the disk',
      back: 'reply to the gateway',
      reply: 'the gateway writes the answer',
    },
    asked: (what, ms) => `${what}: ${ms} in all`,
    sizes: (a, b, n, w) => `${a} bytes sent, ${b} back, round trips: ${n}, waiting: ${w}`,
    notUsable: 'not available',
    free: 'No events',
    removeAnyway: 'Remove it anyway',
  },
  ko: {
    name: '시간표', skip: '시간표로 건너뛰기', weeks: '주 이동',
    previous: '이전', next: '다음', today: '오늘', view: '보기',
    week: '주', day: '일', add: '추가', search: '검색',
    found: '검색 결과', none: '검색 결과가 없습니다', journey: '방금 일어난 일',
    ways: '저장소로 가는 다섯 가지 길', race: '각각 50번 요청',
    files: '파일', open: '파일 열기 …', saveJson: 'JSON으로 저장', saveIcs: '.ics로 저장',
    language: '언어', keys: '단축키: N 추가, T 오늘, / 검색, ← →', title: '제목', start: '시작', end: '종료',
    save: '저장', cancel: '취소', remove: '삭제', newEvent: '새 일정',
    editEvent: '일정 수정', undo: '되돌리기', dismiss: '닫기',
    addOn: d => `${d}에 일정 추가`,
    removed: t => `“${t}” 일정을 삭제했습니다.`, saved: t => `“${t}” 일정을 저장했습니다.`,
    imported: (n, m) => `일정 ${n}개를 가져왔고, ${m}개는 이미 있었습니다.`,
    importFailed: why => `아무것도 가져오지 않았습니다: ${why}`,
    overlaps: '같은 시간의 일정:', 'empty-title': '제목을 입력하세요.',
    badTime: '날짜와 시각을 입력하세요.', skipped: '서머타임으로 없는 시각입니다.',
    'end-before-start': '종료는 시작보다 늦어야 합니다.',
    'long-title': '너무 깁니다. 255바이트까지 됩니다.',
    'bad-title': '저장할 수 없는 글자가 있습니다.',
    'no-space': '저장소가 가득 차서 저장하지 못했습니다.',
    'read-only': '데이터 파일에 쓸 수 없어 더 이상 바꿀 수 없습니다.',
    changed: '그동안 다른 사람이 이 일정을 바꾸었습니다.',
    theirs: '다른 사람', yours: '나', keepMine: '내 것으로 저장',
    takeTheirs: '다른 사람 것으로', gone: '다른 사람이 이 일정을 삭제했습니다. 저장하면 다시 추가됩니다.',
    unreachable: why => `저장소에 연결할 수 없습니다 (${why}). 입력한 내용은 그대로 있고, 저장소가 돌아오면 자동으로 이어집니다. 시작하는 명령: ${about.lab} serve`,
    'no-gateway': () => `게이트웨이가 응답하지 않습니다. 입력한 내용은 그대로 있습니다. ${about.lab} web --port ${location.port}: 새 링크를 이 탭의 주소에 넣으세요.`,
    'no-key': '“ipclab web”이 보여 준 링크로 이 페이지를 여세요. 그 안에 키가 있습니다.',
    back: '다시 연결되었습니다.',
    browser: '브라우저', gateway: '게이트웨이', store: '저장소', journal: '저널',
    pid: n => `프로세스 ${n}`, hopHttp: '루프백의 HTTP와 브라우저 자신',
    hop: {
      gateway: '게이트웨이가 요청을 읽음',
      turn: '차례를 기다림',
      trips: '전체 왕복',
      there: '저장소로 요청',
      store: '저장소가 처리함',
      journal: '저널의 한 줄이 디스크로',
      back: '게이트웨이로 응답',
      reply: '게이트웨이가 응답을 씀',
    },
    asked: (what, ms) => `${what}: 모두 ${ms}`,
    sizes: (a, b, n, w) => `가는 데 ${a}바이트, 오는 데 ${b}바이트, 왕복 ${n}번, 대기 방식: ${w}`,
    notUsable: '쓸 수 없음',
    free: '일정이 없습니다',
    removeAnyway: '그래도 삭제',
  },
};

const KEY = 'ipclab-language';

/* What the reader chose, else what the browser prefers. */
let now = localStorage.getItem(KEY) ||
  navigator.languages.map(l => l.slice(0, 2)).find(l => texts[l]) || 'en';

export const language = () => now;

/* For dates and clocks: the reader's own kind of that language. */
export const locale = () => navigator.language.startsWith(now) ? navigator.language : now === 'en' ? 'en-GB' : now;
/* This lab on a command line: with its instance and its data file. */
export const about = { lab: 'ipclab' };

export const text = key => texts[now][key];

/* A failure: in our words where we have some, else in the gateway's. */
export function inWords(e) {
  const t = text(e.code);
  return typeof t === 'function' ? t(e.message) : t || e.message;
}

/* Puts the texts where the page has places for them. */
export function applyTexts() {
  document.documentElement.lang = now;
  document.title = text('name');
  for (const e of document.querySelectorAll('[data-text]'))
    e.textContent = text(e.dataset.text);
  for (const e of document.querySelectorAll('[data-label]'))
    e.setAttribute('aria-label', text(e.dataset.label));
}

export function chooseLanguage(l) {
  now = texts[l] ? l : 'en';
  localStorage.setItem(KEY, now);
  applyTexts();
}
