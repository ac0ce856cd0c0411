// An HTTP server on the socket that it is handed, else on $PORT. At its stop signal it finishes what it answers.
const http = require("node:http");

const isHanded = Number(process.env.LISTEN_PID) === process.pid && Number(process.env.LISTEN_FDS) > 0;
const server = http.createServer((_, response) => response.end("hello\n"));
server.listen(isHanded ? { fd: 3 } : { host: "127.0.0.1", port: Number(process.env.PORT) });
// pm2 asks with SIGINT.
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => server.close(() => process.exit(0)));
