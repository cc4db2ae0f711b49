// The documentation site, in build/site: the guides are as their commands run, the reference is that of the doc comments, and every
// link leads somewhere. `npm run docs`; with `-- --write` the guides' pictures are drawn anew.

import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkGuides } from './guides.mjs'
import { deadLinks } from './links.mjs'

const root = resolve(fileURLToPath(import.meta.url), '../../..')
const site = join(root, 'build/site')

function end(problems) {
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) process.exit(1)
}

end(checkGuides({ write: process.argv.includes('--write') }))

rmSync(site, { recursive: true, force: true })
const typedoc = join(root, 'node_modules/typedoc/bin/typedoc')
const options = ['--options', join(root, 'scripts/site/typedoc.mjs'), '--logLevel', 'Warn']
const { status } = spawnSync(process.execPath, [typedoc, ...options], { cwd: root, stdio: 'inherit' })
end(status === 0 ? [] : ['the reference has the faults above'])

const { dead, pages, links } = deadLinks(site)
end(dead.map((link) => `a dead link: ${link}`))
console.log(`build/site: ${pages} pages, ${links} links within them`)
