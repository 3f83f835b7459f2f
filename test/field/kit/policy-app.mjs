// A server for field tests of policy, which speaks first: node policy-app.mjs. Says on standard output which connections it
// accepted on its two ports; a third port, of which it says nothing, answers probes by HTTP.
import http from "node:http";
import net from "node:net";

for (const port of [9000, 9001]) {
  net
    .createServer((socket) => {
      console.log(`accepted ${port} ${socket.remoteAddress}`);
      socket.on("error", () => undefined);
      socket.write("hello\n");
      socket.pipe(socket);
    })
    .listen(port, "0.0.0.0");
}
http.createServer((_request, response) => response.end("ready\n")).listen(9002, "0.0.0.0");
process.on("SIGTERM", () => process.exit(0));
