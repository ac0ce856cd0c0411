// Keeps true what is shown: every view says what it asks and at which events it asks again. Events come by one stream; while
// there is none, and beside it in case it is mute, all is asked again every 15 s.

import { get } from './net.js';
import { setLink } from './state.js';

const EVENTS = '/api/v1/events';
const KINDS = ['snapshot', 'scan', 'workers'];
const AGAIN_MS = 15_000;
/** Delays between tries: quick after a restart of the server, patient when it is down. */
const FIRST_MS = 250;
const LONGEST_MS = 5000;

const watched = new Set();
let source = null;
/** Nothing while that is not known. */
let isStreaming = null;
let isAnswered = true;
let delay = FIRST_MS;
let timer = null;

/**
 * Asks `where()` now and at each event of `kinds`; `take` gets the answers, `miss` the refusals. Of two answers the one to
 * the later question counts, whichever comes first. Gives `again()`, which asks at once, and `end()`.
 */
export function watch(where, kinds, take, miss = () => {}) {
  let asked = 0;
  let heard = 0;
  const one = {
    kinds,
    async again() {
      asked += 1;
      const mine = asked;
      const [told, error] = await get(where()).then((told) => [told, null], (error) => [null, error]);
      if (mine < heard) return;
      heard = mine;
      isAnswered = error?.status !== 0;
      tellLink();
      if (!watched.has(one)) return;
      if (error) miss(error);
      else take(told);
    },
    end: () => watched.delete(one),
  };
  watched.add(one);
  one.again();
  return one;
}

/** Asks all again that is shown, or what an event of this kind may have changed. */
export const refresh = (kind) => Promise.all([...watched].filter((one) => !kind || one.kinds.includes(kind)).map((one) => one.again()));

export function begin() {
  open();
  setInterval(() => {
    if (!document.hidden) refresh();
  }, AGAIN_MS);
  document.addEventListener('visibilitychange', () => {
    // A browser has only six connections for all tabs: a page that nobody sees gives its own back.
    if (document.hidden) close();
    else tryNow();
  });
}

/** Asks at once, for the button beside "lost". */
export function tryNow() {
  refresh();
  open();
}

function close() {
  clearTimeout(timer);
  source?.close();
  source = null;
  isStreaming = null;
}

/** The browser would try again by itself, but not after every kind of failure. */
function open() {
  close();
  const mine = new EventSource(EVENTS);
  source = mine;
  mine.addEventListener('open', () => {
    if (source !== mine) return;
    isStreaming = true;
    delay = FIRST_MS;
    // Something may have been missed.
    refresh().then(tellLink);
  });
  for (const kind of KINDS) mine.addEventListener(kind, () => refresh(kind));
  mine.addEventListener('error', () => {
    if (source !== mine) return;
    close();
    isStreaming = false;
    // Tells apart a server that is gone and one that only has no stream for us.
    refresh().then(tellLink);
    timer = setTimeout(open, delay);
    delay = Math.min(delay * 2, LONGEST_MS);
  });
}

function tellLink() {
  if (!isAnswered) setLink('lost');
  else if (isStreaming !== null) setLink(isStreaming ? 'live' : 'slow');
}
