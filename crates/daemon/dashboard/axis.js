// Today on a line: the sessions of a window, the next run, and now. In the local time of whoever looks.

import { el } from './dom.js';
import { moment, momentIn } from './words.js';

const DAY = 86_400_000;

export function midnight(now) {
  return new Date(now).setHours(0, 0, 0, 0);
}

/** `sessions`: pairs of moments. Nothing in them: it has no hours, and all of the day is open. */
export function axis(now, sessions, next, zone) {
  const begin = midnight(now);
  const share = (at) => Math.min(Math.max((at - begin) / DAY, 0), 1) * 100;
  const words = (at) => [moment(at), zone && momentIn(at, zone)].filter(Boolean).join(', ');
  const today = (sessions ?? []).filter(({ open, close }) => Date.parse(open) < begin + DAY && (!close || Date.parse(close) > begin));
  const bars = sessions === null ? [el('span', { class: 'session whole', title: 'no hours: all day' })] : today.map(({ open, close }) => {
    const [from, to] = [share(Date.parse(open)), share(close ? Date.parse(close) : begin + DAY)];
    return el('span', { class: 'session', title: `open ${words(open)} to ${close ? words(close) : 'as far as one can see'}`, style: { left: `${from}%`, width: `${Math.max(to - from, 0.3)}%` } });
  });
  const due = next && Date.parse(next) < begin + DAY ? el('span', { class: 'due', title: `next ${words(next)}`, style: { left: `${share(Date.parse(next))}%` } }) : null;
  const told = sessions === null ? 'no hours' : today.length === 0 ? 'closed all day'
    : today.map(({ open, close }) => `open ${moment(open)} to ${close ? moment(close) : 'the end of the day'}`).join('; ');
  return el('div', { class: 'axis', role: 'img', 'aria-label': `Today: ${told}${next ? `; next ${moment(next)}` : ''}` },
    bars, due, el('span', { class: 'now', style: { left: `${share(now)}%` } }));
}

/** The hours above all axes. */
export function axisHead() {
  return el('div', { class: 'axis hours', 'aria-hidden': 'true' }, [0, 6, 12, 18, 24].map((hour) => el('span', { style: { left: `${(hour / 24) * 100}%` } }, `${hour}`)));
}
