// What the head of the page and every view know: how the link is, how the workers are, how old the data are.

import { now } from './net.js';
import { seconds, span } from './words.js';

export const known = {
  /** `connecting`, `live`, `slow` (no stream, asked every 15 s) or `lost`. */
  link: 'connecting',
  health: null,
  processor: null,
  scanner: null,
  scraper: null,
};

const listeners = new Set();

/** `listen()` is called after every change. Gives what ends it. */
export function subscribe(listen) {
  listeners.add(listen);
  return () => listeners.delete(listen);
}

export function learn(change) {
  Object.assign(known, change);
  for (const listen of [...listeners]) listen();
}

export function setLink(link) {
  if (known.link !== link) learn({ link });
}

/** Whether a soloist is there that starts and stops; assumed until it was told. */
export const isSupervised = () => known.processor?.supervised !== false;

/** A run without news is written down once a minute at most; so long the data are as good as new. */
const QUIET_MS = 60_000;
const INTERVALS = 3;

/** How old the data are, in words with a tone, and in a sentence what is wrong with them. */
export function freshness() {
  const { health, processor } = known;
  const last = Math.max(...[health?.data?.updated_at, processor?.last_process_time].map((at) => Date.parse(at ?? '')).filter(Number.isFinite));
  if (!Number.isFinite(last)) return { words: 'no data yet', tone: 'off', why: health?.data?.message };
  const age = Math.max(0, now() - last);
  const words = `data ${seconds(age)} old`;
  const limit = QUIET_MS + INTERVALS * 1000 * (processor?.process_interval ?? 0);
  const isOpen = processor?.is_market_hours;
  const isOld = age > limit && (isOpen || !isSupervised());
  const why = isOpen && !processor.is_running ? 'The market is open, but the processor is stopped: the data grow old.'
    : isOld ? `No run of the processor has succeeded for more than ${span(limit)}.` : health?.data?.message;
  // Who is not answered knows nothing newer.
  if (why || known.link === 'lost') return { words: `stale: ${words}`, tone: 'bad', why };
  return { words, tone: isOpen ? 'good' : 'calm' };
}
