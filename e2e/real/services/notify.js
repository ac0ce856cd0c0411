// A worker that tells how it fares with the package sd-notify. The test moves it by files: `go`, `hang`.
const fs = require("node:fs");
const notify = require("sd-notify");

function serve() {
  notify.ready();
  notify.sendStatus("serving");
  // Half of what is asked for, as the package's readme says.
  notify.startWatchdogMode(Math.floor(notify.watchdogInterval() / 2));
  setInterval(() => {
    fs.appendFileSync("pings", "ping\n");
    if (fs.existsSync("hang")) {
      fs.unlinkSync("hang");
      notify.stopWatchdogMode();
    }
  }, 100);
}

notify.sendStatus("warming up");
const waiting = setInterval(() => {
  if (fs.existsSync("go")) {
    clearInterval(waiting);
    serve();
  }
}, 20);
