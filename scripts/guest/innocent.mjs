// In a guest: a server with memory of its own, as the kernel's OOM killer sees it: innocent.mjs MIB SOCKET.

import { createServer } from 'node:http'

const [mib, socket] = process.argv.slice(2)
const memory = Buffer.alloc(Number(mib) << 20, 1)
createServer((_, response) => response.end(`${memory.length}`)).listen(socket, () =>
  console.log(`SERVES ${process.pid}`),
)
