// The processor: how it is and what it may be told, how its runs went, what is odd in the workbooks, and new workbooks.

import { chart } from '../chart.js';
import { el, text } from '../dom.js';
import { issueTable } from '../issues.js';
import { watch } from '../live.js';
import { post, put } from '../net.js';
import { known } from '../state.js';
import { table } from '../tables.js';
import { upload } from '../upload.js';
import { count, moment, span } from '../words.js';
import { asleep, workerPanel, yesNo } from '../workers.js';

const RUNS = 300;
const SHOWN = 50;
const BASE = '/api/v1/background';

const ORDERS = [
  { word: 'Start', ask: () => post(`${BASE}/start`) },
  { word: 'Refresh now', ask: () => post('/api/v1/process/refresh') },
  {
    word: 'Interval',
    form: () => ({
      title: 'Interval of the processor',
      fields: [{ label: 'Seconds', note: 'From now on, also over restarts.', input: el('input', { name: 'seconds', type: 'number', min: 1, step: 1, required: true, value: known.processor?.process_interval }) }],
      yes: 'Change',
    }),
    ask: ({ seconds }) => put(`${BASE}/interval/${encodeURIComponent(seconds)}`),
  },
  { word: 'Stop', form: () => ({ title: 'Stop the processor?', words: 'The data are not brought up to date until somebody starts it again.', yes: 'Stop', isGrave: true }), ask: () => post(`${BASE}/stop`) },
];

function read() {
  const one = known.processor;
  if (!one) return null;
  const word = !one.is_running ? ['off', 'stopped'] : one.is_market_hours ? ['good', 'on'] : ['calm', 'waits for the market'];
  return {
    badge: asleep(one) ?? word,
    offers: { Start: !one.is_running, Stop: one.is_running },
    facts: [
      ['Interval', one.process_interval && span(one.process_interval * 1000)],
      ['Market hours', yesNo(one.is_market_hours)],
      ['Last run', moment(one.last_process_time)],
      ['Stocks in it', one.last_process_count],
      ['Next run', moment(one.next)],
      [one.is_market_hours ? 'Closes' : 'Opens', moment(one.until)],
      ['State', one.state],
      // That its last run ended well, the list of runs tells.
      ['Note', one.state === 'scheduled' && one.is_market_hours ? null : one.note],
    ],
  };
}

export function processing() {
  const panel = workerPanel({ title: 'Processor', orders: ORDERS, read });
  const duration = chart('Duration of a run', span);
  const stocks = chart('Stocks with rows', count);
  const runs = table('Runs of the processor', ['When', 'How', '#Stocks', '#Rows', '#Issues', '#Took', 'What it said']);
  const none = el('span', { class: 'quiet', role: 'status' });
  const charts = el('section', { class: 'panel charts', hidden: true, 'aria-label': 'Courses' }, duration.node, stocks.node);
  const issues = issueTable('Row issues', () => true, true);
  const node = el('section', {}, el('h1', { class: 'unseen' }, 'Processing'),
    el('div', { class: 'panels' }, panel.node, charts, upload(),
      el('section', { class: 'panel' }, el('div', { class: 'bar' }, el('h2', {}, 'Runs'), none), runs.node), issues.node));

  const watching = watch(() => `/api/v1/stocks/processing-history?limit=${RUNS}`, ['snapshot', 'workers'], ({ processing_history: lines }) => {
    text(none, lines.length ? `the last ${Math.min(lines.length, SHOWN)}` : 'none yet');
    runs.draw(lines.slice(0, SHOWN), (run) => [moment(run.processed_at), el('span', { class: 'badge', 'data-tone': run.status === 'success' ? 'good' : 'bad' }, run.status),
      [run.stocks_processed, run.stocks_total].map(count).filter(Boolean).join(' of '), count(run.rows), count(run.issues), took(run), run.message]);
    drawCourses(lines.filter((run) => run.duration_ms !== null && run.processed_at).reverse());
  }, (error) => text(none, error.message));

  function drawCourses(lines) {
    charts.hidden = lines.length < 2;
    if (charts.hidden) return;
    const at = lines.map((run) => Date.parse(run.processed_at) / 1000);
    duration.draw(at, lines.map((run) => run.duration_ms));
    stocks.draw(at, lines.map((run) => run.stocks_processed));
  }

  return {
    node,
    end() {
      for (const one of [watching, issues, duration, stocks]) one.end();
      panel.end();
    },
  };
}

const took = ({ duration_ms: ms }) => (ms === null || ms === undefined ? '' : ms < 10 ? `${ms.toFixed(1)} ms` : span(ms));
