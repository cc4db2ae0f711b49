/** A real Chromium, and axe-core: Debian's package, and two of npm's in build/test-dashboard. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const PLACE = fileURLToPath(new URL('../../build/test-dashboard', import.meta.url))
const CHROMIUM = '/usr/bin/chromium'

function done(command, args, options) {
  const { status } = spawnSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'], ...options })
  assert.equal(status, 0, `expected \`${command} ${args.join(' ')}\` to end with 0`)
}

function install() {
  if (!existsSync(CHROMIUM)) {
    done('apt-get', ['update'])
    done('apt-get', ['install', '-y', '--no-install-recommends', 'chromium', 'fonts-dejavu-core'])
  }
  if (existsSync(join(PLACE, 'node_modules', 'axe-core'))) return
  mkdirSync(PLACE, { recursive: true })
  writeFileSync(join(PLACE, 'package.json'), '{ "private": true }\n')
  done('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', 'playwright-core@1', 'axe-core@4'], {
    cwd: PLACE,
  })
}

/** The browser, and `faultsOf(page)`: what axe-core finds. Both are installed where they are missing. */
export async function launch() {
  install()
  const ours = createRequire(join(PLACE, 'package.json'))
  const axe = readFileSync(ours.resolve('axe-core/axe.min.js'), 'utf8')
  const { chromium } = ours('playwright-core')
  // As root, and where /dev/shm is as small as in a container.
  const args = ['--no-sandbox', '--disable-dev-shm-usage']
  const browser = await chromium.launch({ executablePath: CHROMIUM, args })
  const faultsOf = async (page) => {
    const { violations } = await page.evaluate(`(() => { ${axe}; return axe.run() })()`)
    return violations.map(({ id, nodes }) => [
      id,
      nodes.map(({ html, failureSummary }) => `${html}: ${failureSummary}`),
    ])
  }
  return { browser, faultsOf }
}

/** A page of a browser of its own that shows figures. */
export async function open(browser, link, options = {}) {
  const context = await browser.newContext(options)
  // A busy machine is no failure.
  context.setDefaultTimeout(180_000)
  const page = await context.newPage()
  const errors = []
  page.on('pageerror', (error) => errors.push(error.message))
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()))
  await page.goto(link)
  await live(page)
  return { context, page, errors, close: () => context.close() }
}

/** Waits until a page has what the server sends. */
export const live = (page) => page.waitForFunction(() => document.getElementById('connection').textContent === 'live')
