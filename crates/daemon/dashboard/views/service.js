// One service: how it is and why, what it uses, what became of it, what it writes, which processes it has, and how it
// is declared.

import { actionButtons } from '../actions.js';
import { chart } from '../chart.js';
import { el, place, soon, text } from '../dom.js';
import { entryRow, entryTable } from '../entries.js';
import { logView } from '../log.js';
import { get, path } from '../net.js';
import { known } from '../store.js';
import { timeline } from '../timeline.js';
import { exitWords, moment, nextWords, percent, signOf, since, size, span, toneOf } from '../words.js';
import { historyLink } from './history.js';
import { portLink } from './overview.js';

const ENTRIES = 500;
const SHOWN = 25;

export function service(name) {
  const where = `/api/v1/services/${path(name)}`;
  const badge = el('span', { class: 'badge big' });
  const actions = actionButtons(true);
  const facts = el('dl', { class: 'facts' });
  const age = el('span');
  const next = el('span');
  const trouble = el('div', { class: 'trouble', hidden: true });
  const said = el('div', { class: 'said', hidden: true });
  const why = el('p', { class: 'why' });
  const cpu = chart('CPU, percent of one CPU', percent);
  const memory = chart('Memory', size);
  const charts = el('section', { class: 'panel charts', hidden: true }, cpu.node, memory.node);
  const course = timeline();
  const table = entryTable(`What happened to ${name}`, false);
  const log = logView(name);
  const tree = panel('Processes');
  const runs = panel('Runs');
  const config = panel('Declaration');
  const missing = el('p', { class: 'empty', hidden: true }, `There is no service ${name}.`);
  const body = el('div', { class: 'panels' },
    el('section', { class: 'panel' }, facts, said, trouble, el('h2', {}, 'Why'), why),
    charts,
    el('section', { class: 'panel' }, el('h2', {}, 'What happened'), course.node,
      el('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': 'Lines of its history' }, table.node), el('a', { href: historyLink(name) }, 'All of it')),
    log.node, tree.node, runs.node, config.node);
  const node = el('section', { class: 'service' },
    el('div', { class: 'bar head' }, el('a', { href: '#/', class: 'back' }, '← Services'), el('h1', {}, name), badge, actions.node),
    missing, body);

  let entries = [];
  let drawn = null;
  let isOver = false;

  async function askPast() {
    try {
      const past = await get(`/api/v1/history?service=${path(name)}&limit=${ENTRIES}`);
      entries = past.entries.filter((entry) => entry.service === name);
      drawEntries();
    } catch {
      // The stream brings it once the daemon is there again.
    }
  }

  function drawEntries() {
    if (isOver) return;
    course.draw(entries);
    place(table.body, ...entries.slice(-SHOWN).reverse().map((entry) => entryRow(entry, false)));
  }

  const askWhy = soon(200, async () => {
    try {
      text(why, (await get(`${where}/why`)).text);
    } catch (error) {
      text(why, error.message);
    }
  });
  // What a run is made of is asked for when the run changes, and when somebody presses the button.
  const askRun = soon(400, () => {
    tree.fill(`${where}/tree`, drawTree);
    runs.fill(`/api/v1/runs?service=${path(name)}&limit=20`, drawRuns);
  });
  tree.again(() => tree.fill(`${where}/tree`, drawTree));
  config.fill(`${where}/config`, drawConfig);

  function draw(one) {
    const isOtherRun = drawn?.run_id !== one.run_id || drawn?.pid !== one.pid;
    if (!drawn || drawn.revision !== one.revision) askWhy();
    if (!drawn || isOtherRun) askRun();
    drawn = one;
    badge.dataset.tone = toneOf(one.state);
    text(badge, `${signOf(one.state)} ${one.state}`);
    actions.update(one);
    drawFacts();
    drawTimes();
    const troubles = [
      one.refusal && el('p', {}, el('strong', {}, 'Refused: '), one.refusal.detail),
      one.note && el('p', {}, one.note),
      one.stale && el('p', {}, 'Its declaration has changed since it was started; a restart takes the change in.'),
      one.old_code && el('p', {}, `Its code is newer than its run: ${one.old_code.path} was changed after it was started.`),
      ...(one.warnings ?? []).map((warning) => el('p', {}, `Warning: ${warning}`)),
      one.tail.length > 0 && el('pre', { tabindex: 0, 'aria-label': 'Last lines of the run that failed' }, one.tail.join('\n')),
    ].filter(Boolean);
    place(trouble, ...troubles);
    trouble.hidden = troubles.length === 0;
    trouble.dataset.tone = toneOf(one.state);
    drawSaid(one.said);
  }

  function drawFacts() {
    const one = drawn;
    const rows = [
      ['Ready', one.ready ? 'yes' : 'no'],
      ['Wanted', one.wanted],
      ['Kind', one.kind],
      ['Ports', one.ports.length ? one.ports.map(portLink) : null],
      ['Process', one.pid],
      [one.pid ? 'Up since' : 'So since', one.since && [`${moment(one.since)} `, age]],
      ['Restarts', one.restarts],
      ['Cause', one.cause],
      ['Last end', exitWords(one.exit)],
      ['Next', nextWords(one) && next],
      ['Schedule', one.schedule && el('a', { href: '#/schedules' }, [one.schedule.triggers.join(', '), one.schedule.window].filter(Boolean).join(' in '))],
      ['Holder', one.holder && `${one.holder.kind}, process ${one.holder.pid}`],
      ['Command', el('code', {}, one.command.join(' '))],
    ].filter(([, value]) => value !== null && value !== undefined && value !== '');
    place(facts, ...rows.map(([title, value]) => el('div', {}, el('dt', {}, title), el('dd', {}, value instanceof Node || Array.isArray(value) ? value : String(value)))));
  }

  /** Alone, so that what somebody marks or has the focus on stays from second to second. */
  function drawTimes() {
    text(age, drawn ? `(${since(drawn.since)})` : '');
    text(next, drawn ? nextWords(drawn) : '');
  }

  function drawSaid({ status, state, progress }) {
    said.hidden = !(status || state || progress);
    const steps = /^(\d+)\s*\/\s*(\d+)$/.exec(progress ?? '');
    place(said, ...[
      el('h2', {}, 'What it says'),
      state && el('span', { class: 'badge', 'data-tone': 'busy' }, state),
      status && el('span', {}, status),
      steps && el('progress', { value: steps[1], max: steps[2], 'aria-label': 'Progress' }),
      progress && el('span', {}, progress),
    ].filter(Boolean));
  }

  function drawSamples() {
    const samples = known.samples.get(name);
    charts.hidden = !samples || samples.at.length < 2;
    if (charts.hidden) return;
    cpu.draw(samples.at, samples.cpu);
    memory.draw(samples.at, samples.memory);
  }

  askPast();
  let newest = known.entries.at(-1);
  return {
    node,
    update(kinds) {
      const one = known.services.get(name);
      if (kinds.has('services')) {
        const isGone = !one && known.link === 'live';
        missing.hidden = !isGone;
        body.hidden = isGone;
        if (one && one !== drawn) draw(one);
      }
      if (kinds.has('time')) drawTimes();
      if (kinds.has('samples')) drawSamples();
      if (kinds.has('link') && known.link === 'live') {
        askPast();
        config.fill(`${where}/config`, drawConfig);
      }
      if (kinds.has('entries')) {
        const from = known.entries.lastIndexOf(newest) + 1;
        const late = known.entries.slice(from).filter((entry) => entry.service === name && !entries.some((had) => had.id === entry.id && entry.id > 0));
        newest = known.entries.at(-1);
        if (late.length) {
          entries = [...entries, ...late].slice(-ENTRIES);
          drawEntries();
          askWhy();
        }
      }
    },
    end() {
      isOver = true;
      askWhy.cancel();
      askRun.cancel();
      log.end();
      cpu.end();
      memory.end();
    },
  };
}

/** A part that is asked for by itself, and says so where the daemon does not know it. */
function panel(title) {
  const place = el('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': title }, el('p', { class: 'quiet' }, '…'));
  const head = el('div', { class: 'bar' }, el('h2', {}, title));
  return {
    node: el('section', { class: 'panel' }, head, place),
    async fill(where, draw) {
      try {
        place.replaceChildren(...draw(await get(where)));
      } catch (error) {
        const words = error.isAbsent ? 'This daemon does not tell that.' : error.message;
        place.replaceChildren(el('p', { class: 'quiet' }, words));
      }
    },
    again(act) {
      head.append(el('button', { type: 'button', on: { click: act } }, 'Look again'));
    },
  };
}

function rowsOf(heads, rows) {
  return el('table', {}, el('thead', {}, el('tr', {}, heads.map((head) => el('th', { scope: 'col' }, head)))),
    el('tbody', {}, rows.map((cells) => el('tr', {}, cells.map((cell) => el('td', {}, cell === null || cell === undefined ? '' : cell instanceof Node ? cell : String(cell)))))));
}

function drawTree({ processes, guard }) {
  if (!processes.length) return [el('p', { class: 'quiet' }, 'Nothing of it lives.')];
  const depth = new Map();
  const rows = processes.map((one) => {
    depth.set(one.pid, (depth.get(one.ppid) ?? -1) + 1);
    const command = el('code', { class: 'indent', style: { '--depth': depth.get(one.pid) } }, one.command.join(' '));
    return [command, one.main ? `${one.pid} (main)` : one.pid, span(one.cpu_ms), size(one.rss_kib * 1024), one.since && since(one.since)];
  });
  return [rowsOf(['Command', 'Process', 'CPU time', 'Memory', 'Age'], rows), guard ? el('p', { class: 'quiet' }, `Its guard is process ${guard}.`) : ''];
}

function drawRuns({ runs }) {
  if (!runs.length) return [el('p', { class: 'quiet' }, 'The history knows none.')];
  return [rowsOf(['Started', 'Took', 'Ended', 'Cause', 'Memory, at most', 'CPU time'], runs.map((run) => [
    moment(run.start), run.duration_ms === null ? '' : span(run.duration_ms), run.end ? exitWords(run.exit) || 'unseen' : 'not yet',
    run.cause, run.peak_kib && size(run.peak_kib * 1024), run.cpu_ms === null ? '' : span(run.cpu_ms),
  ]))];
}

/** All there is of the declaration, by its own words; what is not said is left out. */
function drawConfig(told) {
  const word = (value) => {
    if (value && typeof value === 'object' && !Array.isArray(value)) return Object.values(value).filter((part) => part !== null).join(', ');
    return Array.isArray(value) ? value.map(word).join(value.length && typeof value[0] === 'object' ? '; ' : ' ') : String(value);
  };
  const isSaid = ([key, value]) => key !== 'schedule' && value !== null && value !== false && !(Array.isArray(value) && value.length === 0);
  return [el('dl', { class: 'facts' }, Object.entries(told).filter(isSaid).map(([key, value]) => el('div', {},
    el('dt', {}, key === 'env' ? 'env (names only)' : key.replaceAll('_', '-')), el('dd', {}, word(value)))))];
}
