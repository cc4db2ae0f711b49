import { join } from 'node:path'

const root = join(import.meta.dirname, '..')

export default {
  pageExtensions: ['mjs', 'js', 'tsx'],
  serverExternalPackages: ['plimsoll'],
  // What a container gets: the server with the files that it was traced to need.
  output: 'standalone',
  outputFileTracingRoot: root,
  turbopack: { root },
}
