// Presents a certificate to a pod's proxy as another proxy would: node tls-client.mjs '{"host", "port", "cert", "key"}'. Prints
// as JSON what the app behind it said first, "" when it was refused.
import tls from "node:tls";

const { host, port, cert, key } = JSON.parse(process.argv[2]);
const socket = tls.connect({ host, port, cert, key, ALPNProtocols: ["istio"], rejectUnauthorized: false });
const end = (said) => {
  console.log(JSON.stringify({ said }));
  process.exit(0);
};
socket.setTimeout(5000, () => end("(nothing for 5 s)"));
socket.on("data", (data) => end(data.toString().trim()));
socket.on("error", () => end(""));
socket.on("close", () => end(""));
