// Numbers, moments and states in words. Everything that is shown in more than one place is worded here.

/** State → tone (a colour) and sign. The word always stands beside it: colour alone tells nobody enough. */
const STATES = {
  ready: ['good', '●'],
  running: ['good', '▶'],
  completed: ['calm', '✓'],
  scheduled: ['calm', '◷'],
  standby: ['calm', '◌'],
  stopped: ['off', '○'],
  claiming: ['busy', '◔'],
  starting: ['busy', '◔'],
  stopping: ['busy', '◕'],
  backoff: ['warn', '↻'],
  unhealthy: ['bad', '▲'],
  failed: ['bad', '✕'],
  conflict: ['bad', '⚠'],
};

export const TONES = {
  bad: 'in trouble',
  warn: 'retrying',
  busy: 'on the way',
  good: 'up',
  calm: 'waiting',
  off: 'stopped',
};

export const toneOf = (state) => (STATES[state] ?? ['off', '·'])[0];
export const signOf = (state) => (STATES[state] ?? ['off', '·'])[1];

/** What happened, in the history → the tone of what is so from then on; absent: it changes nothing. */
export const AFTER = {
  started: 'busy',
  ready: 'good',
  adopted: 'good',
  unhealthy: 'bad',
  stopping: 'busy',
  exited: 'busy',
  ended: 'off',
  restarting: 'warn',
  failed: 'bad',
  refused: 'bad',
  conflict: 'bad',
  'not-started': 'bad',
  standby: 'calm',
};

const UNITS = [[86_400, 'd'], [3_600, 'h'], [60, 'min'], [1, 's']];

/** `3 h 5 min`, `42 s`, `120 ms`: the two greatest units, as soloist's commands tell it. */
export function span(ms) {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  let rest = Math.floor(ms / 1000);
  const parts = [];
  for (const [size, name] of UNITS) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count) parts.push(`${count} ${name}`);
    else if (parts.length) break;
    if (parts.length === 2) break;
  }
  return parts.join(' ');
}

/** How long ago, or in how long. */
export function since(moment, now = Date.now()) {
  if (!moment) return '';
  return span(Math.max(0, now - Date.parse(moment)));
}

export function until(moment, now = Date.now()) {
  if (!moment) return '';
  const left = Date.parse(moment) - now;
  return left <= 0 ? 'now' : `in ${span(Math.max(1000, left))}`;
}

const clocks = new Map();

function clock(kind, options) {
  if (!clocks.has(kind)) clocks.set(kind, new Intl.DateTimeFormat('en-GB', options));
  return clocks.get(kind);
}

/** Time of day here; with the day if that is not today. */
export function moment(at) {
  const date = new Date(at);
  const time = clock('time', { hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(date);
  if (date.toDateString() === new Date().toDateString()) return time;
  return `${clock('day', { weekday: 'short', day: 'numeric', month: 'short' }).format(date)} ${time}`;
}

/** The same moment in the time of a zone, for people who think in the exchange's hours. */
export function momentIn(at, zone) {
  try {
    const options = { weekday: 'short', hour: '2-digit', minute: '2-digit', timeZone: zone };
    return `${clock(`in ${zone}`, options).format(new Date(at))} ${zone}`;
  } catch {
    // A zone that this browser does not know.
    return '';
  }
}

export function size(bytes) {
  const steps = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let [value, step] = [bytes, 0];
  while (value >= 1024 && step < steps.length - 1) [value, step] = [value / 1024, step + 1];
  return `${value >= 10 || step === 0 ? Math.round(value) : value.toFixed(1)} ${steps[step]}`;
}

export const percent = (share) => `${share >= 10 ? Math.round(share) : share.toFixed(1)} %`;

export function exitWords(exit) {
  if (!exit) return '';
  return exit.signal !== null && exit.signal !== undefined ? `by signal ${exit.signal}` : `with code ${exit.code}`;
}

/** What comes next by itself: a try, a run, a session. */
export function nextWords(service, now) {
  const schedule = service.schedule;
  if (schedule?.paused) return 'paused';
  const isTry = service.state === 'backoff';
  const next = service.next ?? schedule?.next;
  if (next) return `${isTry ? 'tries' : schedule && !schedule.triggers.length ? 'opens' : 'runs'} ${until(next, now)}`;
  if (schedule?.until) return `${schedule.open ? 'closes' : 'opens'} ${until(schedule.until, now)}`;
  return '';
}

/** What a line of the history tells beyond its word. */
export function entryWords(entry) {
  const parts = [];
  if (entry.exit) parts.push(exitWords(entry.exit));
  if (entry.cause) parts.push(entry.cause);
  if (entry.detail) parts.push(entry.detail);
  if (entry.count) parts.push(`${entry.count} left out`);
  if (entry.duration_ms !== null && entry.duration_ms !== undefined) {
    parts.push(entry.what === 'restarting' ? `in ${span(entry.duration_ms)}` : span(entry.duration_ms));
  }
  if (entry.peak_kib) parts.push(`at most ${size(entry.peak_kib * 1024)}`);
  return parts.join(' · ');
}
