// Speaks the protocol of the conformance kit on behalf of a client: tests/PROTOCOL.md, "An HTTP client in another process".
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';

/** `can`: what the client is able to do. `create(settings)`: makes it; see below for its methods. */
export function serve(can, create) {
  const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
  const underWay = new Map();
  let client;

  async function obey({ settings, id, send, sign_in: tokens, sign_out: signOut, cancel }) {
    if (settings) {
      client = create(settings);
    } else if (send) {
      underWay.set(id, new AbortController());
      say({ id, ...(await client.send(config(send), underWay.get(id).signal)) });
    } else if (cancel) {
      underWay.get(cancel)?.abort();
      say({ id });
    } else {
      await (signOut ? client.signOut() : client.signIn(tokens));
      say({ id });
    }
  }

  say({ hello: { version: 1, can } });
  createInterface({ input: process.stdin })
    .on('line', (line) => obey(JSON.parse(line)))
    .on('close', () => process.exit());
}

/** What axios is to send. The answer is taken as it comes: any status, and text. */
function config({ method, url, headers, body, stream }) {
  const data = stream === undefined ? body : Readable.from([Buffer.from(stream)]);
  return { method, url, headers, data, responseType: 'text', transformResponse: [(text) => text] };
}
