// Node: setInterval, and a process for each run.
// Arguments: the program, the file it writes, how many jobs, the interval in seconds, milliseconds between their starts.
const { spawn } = require("node:child_process");

const [program, file, jobs, every, apart] = process.argv.slice(2);
const wall = () => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6));

function follow(at) {
  let due = wall();
  setInterval(() => {
    due += BigInt(every) * 1_000_000_000n;
    spawn(program, [`s${at}`, file, String(due)], { stdio: "ignore" });
  }, every * 1000);
}

for (let at = 0; at < jobs; at++) setTimeout(follow, at * apart, at);
