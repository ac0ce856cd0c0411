// pm2 by its own client: how long each `list` takes, in seconds, a line an answer.
// Arguments: the module, how many ask at once, for how many seconds.
const [path, connections, span] = process.argv.slice(2);
const pm2 = require(path);
const begun = performance.now();
const spans = [];
let asking = Number(connections);

function ask() {
  if (performance.now() - begun >= span * 1000) {
    if (--asking === 0) {
      process.stdout.write(`${spans.join("\n")}\n`, () => process.exit(0));
    }
    return;
  }
  const asked = performance.now();
  pm2.list((error) => {
    if (error) throw error;
    spans.push((performance.now() - asked) / 1000);
    ask();
  });
}

pm2.connect((error) => {
  if (error) throw error;
  for (let at = asking; at > 0; at--) ask();
});
