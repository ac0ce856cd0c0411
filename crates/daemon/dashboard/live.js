// The one stream of events: opens it, opens it again when it is lost, and has all told anew whenever something may have
// been missed. Nothing is asked for again and again.

import { get } from './net.js';
import { dropService, putEntries, putEntry, putSamples, putService, putStatus, setLink } from './store.js';

const EVENTS = '/api/v1/events?samples=1';
/** Delays between tries: quick after a restart of the daemon, patient when it is down. */
const FIRST_MS = 250;
const LONGEST_MS = 5000;
/** A page that nobody sees gives its connection back after this; a browser has only six of them for all tabs. */
const HIDDEN_MS = 20_000;

let source = null;
let delay = FIRST_MS;
let timer = null;
/** Events that came while the whole was on its way. */
let fresher = null;

export function begin() {
  open();
  document.addEventListener('visibilitychange', () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(close, HIDDEN_MS);
    else if (!source) open();
  });
}

/** Tries at once, for the button beside "lost". */
export function tryNow() {
  clearTimeout(timer);
  open();
}

function close() {
  source?.close();
  source = null;
}

function open() {
  close();
  const mine = new EventSource(EVENTS);
  source = mine;
  mine.addEventListener('open', () => catchUp(mine));
  mine.addEventListener('message', (message) => take(JSON.parse(message.data), mine));
  mine.addEventListener('error', () => lose(mine));
}

/** The browser would try again by itself, but not after every kind of failure, and would not tell what it does. */
function lose(mine) {
  if (source !== mine) return;
  close();
  setLink('lost');
  clearTimeout(timer);
  timer = setTimeout(reopen, delay);
  delay = Math.min(delay * 2, LONGEST_MS);
}

/** A stream that is refused does not say why, so a question that does comes first. */
async function reopen() {
  try {
    await get('/api/v1/services');
    open();
  } catch (error) {
    setLink(error.status === 401 ? 'shut' : 'lost');
    timer = setTimeout(reopen, delay);
    delay = Math.min(delay * 2, LONGEST_MS);
  }
}

async function catchUp(mine) {
  fresher = [];
  try {
    const [status, history] = await Promise.all([get('/api/v1/services'), get('/api/v1/history?limit=1000')]);
    if (source !== mine) return;
    putStatus(status);
    putEntries(history.entries);
    const late = fresher;
    fresher = null;
    late.forEach((event) => take(event, mine));
    setLink('live');
    delay = FIRST_MS;
  } catch {
    lose(mine);
  } finally {
    fresher = null;
  }
}

function take(event, mine) {
  if (fresher && event.event !== 'resync') {
    fresher.push(event);
    return;
  }
  switch (event.event) {
    case 'service':
      putService(event);
      break;
    case 'removed':
      dropService(event.service);
      break;
    case 'history':
      putEntry(event);
      break;
    case 'samples':
      putSamples(event);
      break;
    case 'resync':
      catchUp(mine);
      break;
    default:
    // A newer daemon tells more than this page knows.
  }
}
