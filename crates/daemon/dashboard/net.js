// Questions and orders to the daemon. A refusal becomes an error that carries what the daemon said, word for word.

export class Refusal extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? `the daemon answered ${status}`);
    this.status = status;
    this.hint = problem?.hint ?? null;
  }

  /** This daemon has no such path: an older one, or a part that is switched off. */
  get isAbsent() {
    return this.status === 404 || this.status === 405;
  }
}

/** A name as a part of a path: `scraper@antica`, `scan~2`. */
export const path = (name) => encodeURIComponent(name);

export const get = (where) => ask('GET', where);
export const post = (where, body = {}) => ask('POST', where, { who: 'the dashboard', ...body });
export const patch = (where, body) => ask('PATCH', where, { who: 'the dashboard', ...body });
export const drop = (where) => ask('DELETE', where);

async function ask(method, where, body) {
  let answer;
  try {
    answer = await fetch(where, {
      method,
      // The header that no foreign page can send; writes by cookie need it.
      headers: method === 'GET' ? {} : { 'Content-Type': 'application/json', 'X-Soloist': '1' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Refusal(0, { detail: 'the daemon does not answer', hint: 'is it running? `soloist status` tells' });
  }
  const told = (answer.headers.get('Content-Type') ?? '').includes('json') ? await answer.json() : null;
  if (!answer.ok) throw new Refusal(answer.status, told);
  return told;
}
