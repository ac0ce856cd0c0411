// Open interest by strike, as a ladder: the highest strike on top, calls to the left, puts to the right, the price as a line
// among them. A full bar is what is open; its hatched end was built, a dashed one was unwound.

import { el } from './dom.js';
import { difference } from './tables.js';
import { compact, decimal, signed } from './words.js';

const SIDES = ['call', 'put'];
const sideOf = (section) => (/^call/i.test(section) ? 'call' : 'put');

/** One rung a strike, from both tables: what Live has of it is newer. */
export function rungsOf({ historical, live }) {
  const rungs = new Map();
  const place = ({ numbers: { strike }, ...row }, section) => {
    if (strike === null) return null;
    const side = sideOf(section);
    if (!rungs.has(strike)) rungs.set(strike, { strike, words: row.Strike, isNew: false, call: null, put: null });
    const rung = rungs.get(strike);
    rung[side] ??= { open: null, change: null, marks: [] };
    return { rung, side: rung[side] };
  };
  for (const row of historical) {
    const found = place(row, row.Category);
    if (!found) continue;
    found.side.open = row.numbers.latest_oi;
    found.side.change = row.numbers.call_oi_difference ?? row.numbers.put_oi_difference;
    found.rung.isNew ||= row.Additional_Strike === 'Yes';
    if (!live.length) found.side.marks.push(/resistance/i.test(row.Category) ? 'R' : 'S');
  }
  for (const row of live) {
    const found = place(row, row.Section);
    if (!found) continue;
    found.side.open = row.numbers.prev_oi ?? found.side.open;
    found.side.change = row.numbers.oi_diff ?? found.side.change;
    found.side.marks.push((/resistance/i.test(row.Section) ? 'R' : 'S') + (/\d+$/.exec(row.Label)?.[0] ?? ''));
    found.rung.isNew ||= row.Is_NewStrike === 'Yes' || row.Add_Strike === 'Yes';
  }
  return [...rungs.values()].sort((a, b) => b.strike - a.strike);
}

const MEANING = { R: 'resistance', S: 'support' };
const longest = ({ open, change }) => Math.max(open ?? 0, (open ?? 0) - (change ?? 0));

/** `spot` is the last price, if there is one. */
export function ladder(rungs, spot, name) {
  const most = Math.max(1, ...rungs.flatMap((rung) => SIDES.map((side) => (rung[side] ? longest(rung[side]) : 0))));
  const share = (value) => `${(value / most) * 100}%`;
  const bar = ({ open, change, marks }) => {
    const [now, before] = [open ?? 0, Math.max(0, (open ?? 0) - (change ?? 0))];
    return [
      el('div', { class: 'figures' },
        marks.map((mark) => el('span', { class: `mark ${MEANING[mark[0]]}` }, mark)),
        el('span', {}, open === null ? 'none now' : compact(open)),
        change === null ? null : difference(compact(change), change)),
      el('div', { class: 'track' },
        el('div', { class: 'open', style: { width: share(Math.min(now, before)) } }),
        el('div', { class: now > before ? 'built' : 'unwound', hidden: now === before, style: { width: share(Math.abs(now - before)) } })),
    ];
  };
  const rows = rungs.map((rung) => el('div', { class: 'rung', 'data-strike': rung.words, title: wordsOf(rung) },
    SIDES.map((side) => el('div', { class: `side ${side}` }, rung[side] ? bar(rung[side]) : null)),
    el('div', { class: 'strike' }, rung.words, rung.isNew ? el('small', {}, 'new') : null)));
  const line = spot === null ? null : el('div', { class: 'spot' }, el('span', {}, `LTP ${decimal(spot)}`));
  if (line) rows.splice(rungs.filter(({ strike }) => strike > spot).length, 0, line);
  return el('div', { class: 'ladder', role: 'img', 'aria-label': `Open interest of ${name} by strike, calls left, puts right; ${spot === null ? 'no price' : `price ${decimal(spot)}`}. ${rungs.map(wordsOf).join('. ')}` }, rows);
}

function wordsOf(rung) {
  const sides = SIDES.filter((side) => rung[side]).map((side) => {
    const { open, change, marks } = rung[side];
    return [`${side}s ${open === null ? 'none now' : compact(open)}`, change === null ? null : `change ${signed(compact(change), change)}`,
      ...marks.map((mark) => `${MEANING[mark[0]]} ${mark.slice(1)}`.trim())].filter(Boolean).join(', ');
  });
  return `Strike ${rung.words}${rung.isNew ? ' (new)' : ''}: ${sides.join('; ')}`;
}
