// One stock: its open interest by strike, both tables as the workbooks have them, and what is odd about its rows.

import { el, text } from '../dom.js';
import { issueTable } from '../issues.js';
import { ladder, rungsOf } from '../ladder.js';
import { watch } from '../live.js';
import { path } from '../net.js';
import { difference, table } from '../tables.js';
import { decimal } from '../words.js';
import { star } from './stocks.js';

const toneOf = (section, isNew) => (isNew ? 'busy' : { 'Call Resistance': 'bad', 'Put Support': 'good' }[section] ?? null);

export function stock(name) {
  const facts = el('dl', { class: 'facts' });
  const chart = el('div');
  const trouble = el('p', { class: 'empty', role: 'status' }, 'Asking …');
  const historical = table(`Historical rows of ${name}`, ['Stock', 'Category', '#Strike', '#Prev OI', '#Latest OI', '#Call OI difference', '#Put OI difference', '#LTP', 'Additional strike']);
  const live = table(`Live rows of ${name}`, ['Section', 'Label', '#OI', '#Strike', '#OI difference', 'New strike', 'Add strike']);
  const issues = issueTable(`Issues of ${name}`, (issue) => issue.stock === name);
  const panel = (title, ...parts) => el('section', { class: 'panel' }, el('h2', {}, title), parts);
  const body = el('div', { class: 'panels', hidden: true },
    panel('Open interest by strike', facts, chart, el('p', { class: 'legend quiet', 'aria-hidden': 'true' },
      ['call', 'put', 'built', 'unwound'].map((kind) => el('span', { class: kind }, { call: 'calls', put: 'puts', built: 'built', unwound: 'unwound' }[kind])),
      el('span', {}, 'R resistance, S support'))),
    panel('Live', live.node), panel('Historical', historical.node), issues.node);
  const node = el('section', { class: 'stock' },
    el('div', { class: 'bar head' }, el('a', { href: '#/', class: 'back' }, '← Stocks'), el('h1', {}, name), star(name)), trouble, body);

  let drawn = '';

  function draw(told) {
    trouble.hidden = true;
    body.hidden = false;
    const whole = JSON.stringify(told);
    if (whole === drawn) return;
    drawn = whole;
    const rungs = rungsOf(told);
    const spot = told.historical.find(({ numbers }) => numbers.ltp !== null)?.numbers.ltp ?? null;
    chart.replaceChildren(rungs.length ? ladder(rungs, spot, name) : el('p', { class: 'quiet' }, 'No row of it has a strike.'));
    drawFacts(told, spot);
    live.draw(told.live, (row) => [row.Section, row.Label, row.Prev_OI, row.Strike, difference(row.OI_Diff, row.numbers.oi_diff), row.Is_NewStrike, row.Add_Strike],
      (row) => toneOf(row.Section, row.Is_NewStrike === 'Yes'));
    historical.draw(told.historical, (row) => [row.Stock, row.Category, row.Strike, row.Prev_OI, row.Latest_OI,
      difference(row.Call_OI_Difference, row.numbers.call_oi_difference), difference(row.Put_OI_Difference, row.numbers.put_oi_difference), row.LTP, row.Additional_Strike],
    (row) => toneOf(row.Category, row.Additional_Strike === 'Yes'));
  }

  function drawFacts(told, spot) {
    const total = (side) => told.live.find((row) => row.Label.startsWith('Total') && row.Section.startsWith(side));
    const [calls, puts] = [total('Call'), total('Put')];
    const share = (puts?.numbers.prev_oi ?? Number.NaN) / (calls?.numbers.prev_oi ?? Number.NaN);
    const rows = [['Last price', decimal(spot)], ['Total OI, calls', calls?.Prev_OI], ['Total OI, puts', puts?.Prev_OI], ['Puts for each call', Number.isFinite(share) ? share.toFixed(2) : null]];
    facts.replaceChildren(...rows.filter(([, value]) => value !== null && value !== undefined && value !== '')
      .map(([title, value]) => el('div', {}, el('dt', {}, title), el('dd', {}, String(value)))));
  }

  const watching = watch(() => `/api/v1/stocks/${path(name)}`, ['snapshot'], draw, (error) => {
    // What was shown stays: the head says how old it is.
    if (error.status === 0 && drawn) return;
    body.hidden = true;
    trouble.hidden = false;
    text(trouble, [error.message, error.hint].filter(Boolean).join(' · '));
  });

  return {
    node,
    end() {
      watching.end();
      issues.end();
    },
  };
}
