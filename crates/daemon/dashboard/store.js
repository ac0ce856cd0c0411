// What is known of the project now. Views subscribe; however much changes, they are told once a frame.

/** Lines of the history that are kept here; more are asked for. */
const ENTRIES = 2000;
/** Samples of one instance: five minutes, one every two seconds. */
const SAMPLES = 150;

export const known = {
  services: new Map(),
  daemon: null,
  entries: [],
  samples: new Map(),
  /** `connecting`, `live`, `lost`, or `shut`: this browser is not let in. */
  link: 'connecting',
};

const listeners = new Set();
let changed = new Set();
let isDue = false;

/** `listen(kinds)` is called with a set of `services`, `entries`, `samples`, `link`. Gives what ends it. */
export function subscribe(listen) {
  listeners.add(listen);
  return () => listeners.delete(listen);
}

export function tell(kind) {
  changed.add(kind);
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    const kinds = changed;
    changed = new Set();
    for (const listen of [...listeners]) listen(kinds);
  });
}

export function setLink(link) {
  if (known.link === link) return;
  known.link = link;
  tell('link');
}

/** One status; of two the one with the greater revision is newer. */
export function putService(service) {
  const before = known.services.get(service.name);
  if (before && before.revision > service.revision) return;
  known.services.set(service.name, service);
  tell('services');
}

export function dropService(name) {
  known.samples.delete(name);
  if (known.services.delete(name)) tell('services');
}

/** The whole truth. What is not in it is no more. */
export function putStatus(status) {
  known.daemon = status.daemon;
  known.services = new Map(status.services.map((service) => [service.name, service]));
  for (const name of known.samples.keys()) if (!known.services.has(name)) known.samples.delete(name);
  tell('services');
}

export function putEntries(entries) {
  known.entries = entries.slice(-ENTRIES);
  tell('entries');
}

export function putEntry(entry) {
  if (entry.id > 0 && known.entries.some((one) => one.id === entry.id)) return;
  known.entries.push(entry);
  if (known.entries.length > ENTRIES * 1.2) known.entries.splice(0, known.entries.length - ENTRIES);
  tell('entries');
}

/** One sample of each instance that lives: CPU in percent of one CPU, memory in bytes. */
export function putSamples({ at, samples }) {
  const seconds = Date.parse(at) / 1000;
  for (const { service, cpu_percent: cpu, rss_kib: kib } of samples) {
    if (!known.samples.has(service)) known.samples.set(service, { at: [], cpu: [], memory: [] });
    const course = known.samples.get(service);
    for (const [line, value] of [[course.at, seconds], [course.cpu, cpu ?? 0], [course.memory, kib * 1024]]) {
      line.push(value);
      if (line.length > SAMPLES) line.shift();
    }
  }
  tell('samples');
}
