// Questions and orders to the market's server. A refusal becomes an error that carries what the server said, word for word.

/** A question that is not answered by then counts as not answered at all. */
const PATIENCE_MS = 20_000;

/** How far the server's clock is ahead of this one: what is told of ages goes by the clock that wrote them. */
let ahead = 0;
export const now = () => Date.now() + ahead;

export class Refusal extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? `the server answered ${status}`);
    this.status = status;
    this.hint = problem?.hint ?? null;
  }
}

/** A name as a part of a path: `M&M`. */
export const path = (name) => encodeURIComponent(name);

export const get = (where) => ask('GET', where, undefined, AbortSignal.timeout(PATIENCE_MS));
export const post = (where, body) => ask('POST', where, body);
export const put = (where) => ask('PUT', where);

/** A body is a form; the browser says what kind it is. */
async function ask(method, where, body, signal) {
  let answer;
  let told = null;
  try {
    answer = await fetch(where, { method, body, signal });
    if ((answer.headers.get('Content-Type') ?? '').includes('json')) told = await answer.json();
  } catch {
    throw new Refusal(0, { detail: 'the server does not answer', hint: 'is it running? `soloist status` tells' });
  }
  hear(answer.headers.get('Date'));
  if (!answer.ok) throw new Refusal(answer.status, told);
  return told;
}

/** The header tells whole seconds, so a difference below two of them is none. */
function hear(date) {
  const apart = Date.parse(date ?? '') - Date.now();
  if (!Number.isNaN(apart)) ahead = Math.abs(apart) < 2000 ? 0 : apart;
}
