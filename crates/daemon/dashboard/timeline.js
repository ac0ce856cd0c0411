// What became of one instance, as a bar of coloured stretches: each from one line of the history to the next. The table
// below says the same in words, so the bar is a picture with a name.

import { el } from './dom.js';
import { AFTER, entryWords, moment, span } from './words.js';

/** Stretches of the last `ms` until `now`; `entries` oldest first. */
function stretches(entries, from, now) {
  const found = [];
  for (const entry of entries) {
    const tone = AFTER[entry.what];
    if (!tone) continue;
    const at = Math.max(Date.parse(entry.at), from);
    const last = found.at(-1);
    if (last) last.end = at;
    found.push({ tone, begin: at, end: now, entry });
  }
  return found.filter((one) => one.end > from && one.end > one.begin);
}

export function timeline() {
  const bar = el('div', { class: 'timeline', role: 'img' });
  const from = el('span');
  const node = el('div', {}, bar, el('div', { class: 'ends quiet' }, from, el('span', {}, 'now')));
  return {
    node,
    draw(entries, now = Date.now()) {
      const first = entries.length ? Date.parse(entries[0].at) : now;
      const begin = Math.min(Math.max(first, now - 86_400_000), now - 60_000);
      const found = stretches(entries, begin, now);
      const whole = now - begin;
      bar.replaceChildren(...found.map((one) => el('span', {
        'data-tone': one.tone,
        title: `${one.entry.what} ${moment(one.entry.at)}: ${entryWords(one.entry)}`,
        style: { left: `${((one.begin - begin) / whole) * 100}%`, width: `${Math.max(((one.end - one.begin) / whole) * 100, 0.2)}%` },
      })));
      bar.setAttribute('aria-label', `The last ${span(whole)}: ${found.length} stretches; the table below tells them in words`);
      from.textContent = `${span(whole)} ago`;
    },
  };
}
