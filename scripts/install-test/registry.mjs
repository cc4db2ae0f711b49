import { once } from 'node:events'
import { join } from 'node:path'
import { registryServer } from './tools.mjs'

/**
 * Starts a registry in this process, on loopback at a free port: it takes the project's packages, and passes the others on from `uplink`.
 * It keeps all it has in `folder`, and ends with the process at the latest.
 */
export async function startRegistry({ tools, folder, uplink }) {
  const server = await registryServer(tools, {
    configPath: join(folder, 'config.yaml'), // never read; relative paths would start there
    storage: join(folder, 'storage'),
    auth: { htpasswd: { file: join(folder, 'htpasswd') } },
    uplinks: { configured: { url: uplink } },
    packages: {
      'plimsoll*': { access: '$all', publish: '$all' },
      '**': { access: '$all', proxy: 'configured' },
    },
    log: { type: 'stdout', level: 'error' },
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  return { host: `127.0.0.1:${server.address().port}`, close }
}
