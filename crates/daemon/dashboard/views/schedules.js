// Schedules: the sessions of today, what runs next, what there is to warn of, and what can be changed at run time.

import { axis, axisHead } from '../axis.js';
import { askFor, say, sayRefusal } from '../dialogs.js';
import { el, place, soon, text } from '../dom.js';
import { drop, get, patch, path, post } from '../net.js';
import { known } from '../store.js';
import { exitWords, moment, momentIn, signOf, toneOf, until } from '../words.js';

export function schedules() {
  const warnings = el('div', { class: 'warnings' });
  const list = el('ul', { class: 'schedules' });
  const overrides = el('ul', { class: 'overrides' });
  const zones = el('p', { class: 'quiet' });
  const empty = el('p', { class: 'empty', hidden: true }, 'Nothing here has a schedule.');
  const node = el('section', {},
    el('div', { class: 'bar' }, el('h1', {}, 'Schedules'),
      el('button', { type: 'button', on: { click: override } }, 'Open or close hours …')),
    warnings, axisHead(), list, empty, el('section', { class: 'panel' }, el('h2', {}, 'By order'), overrides), zones);

  let told = null;
  /** What is shown of each, by name. */
  const items = new Map();

  async function ask() {
    try {
      told = await get('/api/v1/schedules');
      draw();
    } catch (error) {
      empty.hidden = false;
      text(empty, error.message);
    }
  }

  function draw() {
    if (!told) return;
    const hours = new Map((told.hours ?? []).map((one) => [one.window, one.sessions]));
    const live = told.schedules.map((one) => ({ ...one, ...known.services.get(one.name)?.schedule, state: known.services.get(one.name)?.state ?? one.state }));
    const names = new Set(live.map((one) => one.name));
    for (const name of items.keys()) if (!names.has(name)) items.delete(name);
    for (const one of live) {
      if (!items.has(one.name)) items.set(one.name, item(one));
      items.get(one.name).draw(one, hours);
    }
    place(list, ...live.map((one) => items.get(one.name).node));
    empty.hidden = live.length > 0;
    place(warnings, ...told.warnings.map((words) => el('p', { class: 'warning' }, '⚠ ', words)));
    place(overrides, ...(told.overrides.length ? told.overrides.map(ordered) : [el('li', { class: 'quiet' }, 'All windows keep their hours.')]));
    text(zones, `Time zones: ${told.zones}. Times here are this browser's.`);
  }

  /** One schedule. Its buttons stay, whatever changes: a job that begins must not take away the one that is being pressed. */
  function item(one) {
    const where = `/api/v1/schedules/${path(one.name)}`;
    const button = (word, order) => {
      const pressed = el('button', { type: 'button', 'aria-label': `${word} ${one.name}`, on: { click: () => run(pressed, `${word} ${one.name}`, order) } }, word);
      return pressed;
    };
    const now = button('Run now', () => runNow(one, where));
    const pause = button('Pause', () => post(`${where}/pause`));
    const resume = button('Resume', () => post(`${where}/resume`));
    const interval = button('Interval', () => editInterval(one, where));
    const reset = button('Reset', () => patch(where, { reset: true }));
    const state = el('span', { class: 'badge' });
    const paused = el('span', { class: 'badge', 'data-tone': 'warn' }, 'paused');
    const what = el('span', { class: 'quiet' });
    const next = el('span', { class: 'next' });
    const note = el('p', { class: 'quiet' });
    const day = el('div');
    const node = el('li', {},
      el('div', { class: 'head' },
        el('a', { href: `#/service/${path(one.name)}` }, one.name), state, paused, what, next,
        el('span', { class: 'actions' }, now, resume, pause, interval, reset)),
      note, day);

    function tell() {
      if (one.paused) text(next, 'paused');
      else if (one.next) text(next, `${one.triggers.length ? 'runs' : 'opens'} ${until(one.next)}, ${moment(one.next)}`);
      else if (one.until) text(next, `${one.open ? 'closes' : 'opens'} ${until(one.until)}, ${moment(one.until)}`);
      else text(next, one.window && one.open ? 'open as far as one can see' : 'nothing is due');
      next.title = one.next && one.zone ? momentIn(one.next, one.zone) : '';
    }

    function draw(is, hours) {
      one = is;
      state.dataset.tone = toneOf(one.state);
      text(state, `${signOf(one.state)} ${one.state}`);
      text(what, [one.triggers.join(', '), one.window && `in ${one.window}${one.open ? ' (open)' : ' (closed)'}`, one.zone].filter(Boolean).join(' · '));
      tell();
      now.hidden = !one.triggers.length;
      [paused.hidden, resume.hidden, pause.hidden] = [!one.paused, !one.paused, one.paused];
      interval.hidden = !one.triggers.some((trigger) => trigger.startsWith('every '));
      reset.hidden = !one.changed;
      text(note, [
        one.changed, one.queued ? `${one.queued} wait for the one at work` : null,
        one.answer && `last turn ${one.answer.ok ? 'went well' : 'went badly'}${one.answer.summary ? `: ${one.answer.summary}` : ''}`,
        one.exit && `last run ended ${exitWords(one.exit)}`,
      ].filter(Boolean).join(' · '));
      note.hidden = !note.textContent;
      const sessions = one.window ? hours.get(one.window) ?? guessed(one) : null;
      place(day, axis(Date.now(), sessions, one.paused ? null : one.next, one.zone));
    }
    return { node, draw, tell };
  }

  /** From what a status tells, for a daemon that does not tell hours: until when it is as it is. */
  function guessed(one) {
    if (one.open) return [{ open: new Date().toISOString(), close: one.until }];
    return one.until ? [{ open: one.until, close: one.until }] : [];
  }

  function ordered(one) {
    const isSoon = one.from && Date.parse(one.from) > Date.now();
    const words = `${one.of} is ${one.open ? 'open' : 'closed'} ${isSoon ? `from ${moment(one.from)} ` : ''}until ${moment(one.until)}${one.who ? `, by ${one.who}` : ''}`;
    const label = `Take back ${one.of}`;
    const press = (event) => run(event.currentTarget, label, () => drop(`/api/v1/overrides?${new URLSearchParams({ of: one.of, who: 'the dashboard' })}`));
    return el('li', {}, words, ' ', el('button', { type: 'button', 'aria-label': label, on: { click: press } }, 'Take back'));
  }

  async function run(button, what, order) {
    button.disabled = true;
    try {
      const done = await order();
      if (done) say(done.text);
      if (done) await ask();
    } catch (error) {
      sayRefusal(`${what} was refused`, error);
    } finally {
      button.disabled = false;
    }
  }

  async function runNow(one, where) {
    const words = one.paused ? 'It is paused. This one run happens all the same.'
      : one.open === false ? `${one.window} is closed. This one run happens all the same.` : null;
    if (words && !(await askFor({ title: `Run ${one.name} now?`, words, yes: 'Run now' }))) return null;
    return post(`${where}/run`);
  }

  async function editInterval(one, where) {
    const now = one.triggers.find((trigger) => trigger.startsWith('every ')).slice(6);
    const input = el('input', { name: 'every', value: now, required: true, autocomplete: 'off' });
    const given = await askFor({
      title: `Interval of ${one.name}`, words: 'It holds at once, and after a restart of the daemon, until it is reset.', yes: 'Change',
      fields: [{ label: 'Every', input, note: 'As in soloist.toml: 10s, 5m, 1h 30m' }],
    });
    return given && given.every !== now ? patch(where, { every: given.every }) : null;
  }

  async function override() {
    const names = [...new Set((told?.schedules ?? []).map((one) => one.window).filter(Boolean))];
    const of = el('input', { name: 'of', list: 'windows', required: true, value: names[0] ?? '', autocomplete: 'off' });
    const windows = el('datalist', { id: 'windows' }, names.map((name) => el('option', { value: name })));
    const state = el('select', { name: 'state' }, el('option', { value: 'open' }, 'open'), el('option', { value: 'closed' }, 'closed'));
    const then = new Date(Date.now() + 3_600_000 - new Date().getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
    const last = el('input', { name: 'until', type: 'datetime-local', value: then, required: true });
    const given = await askFor({
      title: 'Open or close hours', words: 'A window, or a calendar and so all windows that go by it. What runs in them starts or stops at once.', yes: 'Order it', isGrave: true,
      fields: [{ label: 'Window or calendar', input: el('span', {}, of, windows) }, { label: 'Is', input: state }, { label: 'Until', input: last }],
    });
    if (!given) return;
    try {
      say((await post('/api/v1/overrides', { of: given.of, open: given.state === 'open', until: new Date(given.until).toISOString() })).text);
      await ask();
    } catch (error) {
      sayRefusal('The order was refused', error);
    }
  }

  // Hours and overrides change with orders, which the history tells; everything else is in the statuses.
  const askSoon = soon(200, ask);
  let newest = known.entries.at(-1);
  const seen = () => {
    const late = known.entries.slice(known.entries.lastIndexOf(newest) + 1);
    newest = known.entries.at(-1);
    return late.some((entry) => entry.what === 'rescheduled');
  };
  let isAsked = false;
  let services = known.services.size;
  return {
    node,
    update(kinds) {
      if (!isAsked || (kinds.has('link') && known.link === 'live') || (kinds.has('entries') && seen())) askSoon();
      isAsked = true;
      if (kinds.has('services')) draw();
      // One came, or one is no more.
      if (services !== known.services.size) askSoon();
      services = known.services.size;
      if (kinds.has('time')) items.forEach((item) => item.tell());
    },
    end: () => askSoon.cancel(),
  };
}
