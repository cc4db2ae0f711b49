import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GiB } from 'plimsoll'
import { serveDashboard } from 'plimsoll/dashboard'
import { root, runNode } from './helpers/child'
import { fakeCuda } from './helpers/fake-cuda'

test('plimsoll dashboard prints a link that opens once, and ends with 0 when it is asked to', async () => {
  const child = spawn(process.execPath, ['dist/cli.js', 'dashboard', '--json', '--interval', '100ms'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(child.stdout, 'data')
  const { url, link } = JSON.parse(String(line))
  expect(link.startsWith(`${url}?token=`)).toBe(true)
  expect(await (await fetch(url)).text()).toMatch(/^This page opens by a link .*: press Enter /)
  const { status, headers } = await fetch(link, { redirect: 'manual' })
  expect(status).toBe(303)
  const cookie = headers.get('set-cookie')?.split(';')[0] as string
  const key = headers.get('location')?.split('#')[1]
  const response = await fetch(`${url}events?key=${key}`, { headers: { cookie } })
  let text = ''
  for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(piece).toString()
    if (/"level":"(?:normal|warning|critical)"/.test(text)) break
  }
  expect(text).toContain('"hasManager":false')
  expect((await fetch(link, { redirect: 'manual' })).status).toBe(403)
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
})

/** Runs the verb with a folder alone as its PATH until it has told what it is waited for. */
async function openedWith(path: string, isTold: (output: string) => boolean): Promise<string> {
  const child = spawn(process.execPath, ['dist/cli.js', 'dashboard', '--open'], { cwd: root, env: { PATH: path } })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text
    })
  }
  await once(child, 'spawn')
  while (!isTold(output) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 20))
  child.kill('SIGTERM')
  await once(child, 'close')
  return output
}

test('plimsoll dashboard --open gives the browser a link of its own', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'browser-'))
  const asked = join(folder, 'asked')
  writeFileSync(
    join(folder, 'xdg-open'),
    `#!/bin/sh\necho "$1" > '${asked}.new' && /bin/mv '${asked}.new' '${asked}'\n`,
    {
      mode: 0o755,
    },
  )
  const output = await openedWith(folder, () => existsSync(asked))
  const link = readFileSync(asked, 'utf8').trim()
  expect(link).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{43}$/)
  expect(output).toMatch(/^open http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{43}$/m)
  expect(output).not.toContain(link)
  rmSync(folder, { recursive: true })
})

test.each([
  ['there is none', undefined, 'there is no xdg-open: install the package xdg-utils'],
  ['it finds no browser', 'exit 3', 'xdg-open ended with 3: it found no browser'],
])('plimsoll dashboard --open says so where %s, and goes on', async (_, script, why) => {
  const folder = mkdtempSync(join(tmpdir(), 'browser-'))
  if (script) writeFileSync(join(folder, 'xdg-open'), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  const output = await openedWith(folder, (text) => text.includes('yourself'))
  expect(output).toContain(why)
  expect(output).toMatch(/^open http/m)
  rmSync(folder, { recursive: true })
})

test('a port that is taken ends with 4', async () => {
  await using dashboard = await serveDashboard()
  const { status, stderr } = runNode(['dist/cli.js', 'dashboard', '--port', `${dashboard.port}`])
  expect(status).toBe(4)
  expect(stderr).toContain('EADDRINUSE')
})

test.each(['1ms', '50ms', '61s', 'often'])(
  'an interval of %s is wrong use, told by the name of the option',
  (interval) => {
    const { status, stderr } = runNode(['dist/cli.js', 'dashboard', '--interval', interval])
    expect(status).toBe(2)
    expect(stderr).toContain(
      `expected --interval to be a time from 100ms to 1min, such as 500ms or 2s, got "${interval}"`,
    )
  },
)

test('a process that holds memory of a GPU is shown where a driver tells, and what that does not tell is not 0', () => {
  const script = `
    const { serveDashboard } = require('plimsoll/dashboard')
    serveDashboard().then(async (dashboard) => {
      const { processes } = await dashboard.state()
      const its = processes.find(({ pid }) => pid === Number(process.argv[1]))
      console.log(JSON.stringify(its === undefined ? null : [its.isLoaded, its.gpuBytes]))
      await dashboard.close()
    })`
  // Small and without the package: it is there for what it holds of the GPU.
  const child = spawn('sleep', ['60'])
  const seen = (settings: string) => {
    const driver = [`PLIMSOLL_NVML_LIBRARY=${fakeCuda}`, `FAKE_CUDA=${settings}`]
    return JSON.parse(runNode(['-e', script, `${child.pid}`], { through: ['env', ...driver] }).stdout)
  }
  try {
    const only = `nvml.processes=1,nvml.first_pid=${child.pid}`
    expect(seen(only)).toEqual([false, GiB])
    expect(seen(`${only},nvml.unavailable=1`)).toEqual([false, null])
    expect(seen('nvml.init_code=9')).toBeNull()
  } finally {
    child.kill()
  }
})

test('a label of any length is not kept with every moment', () => {
  const script = `
    const { MemoryManager, MiB } = require('plimsoll')
    const { serveDashboard } = require('plimsoll/dashboard')
    const manager = new MemoryManager({ isolated: true, headroom: false, maxBytes: 100 * MiB })
    const held = manager.budget.hold(60 * MiB, 'weights')
    serveDashboard({ manager, intervalMs: 100 }).then(async (dashboard) => {
      manager.acquire({ bytes: 70 * MiB, label: 'x'.repeat(4 * MiB) }, { ageMs: 0 }).catch(() => {})
      await new Promise((resolve) => setTimeout(resolve, 500))
      gc()
      const before = process.memoryUsage().heapUsed
      await new Promise((resolve) => setTimeout(resolve, 3000))
      gc()
      console.log((process.memoryUsage().heapUsed - before) / MiB)
      await dashboard.close()
      held.release()
      await manager.close()
    })`
  const { stdout, stderr } = runNode(['-e', script], { flags: ['--expose-gc'] })
  expect({ stderr, heldMiB: Number(stdout) }).toEqual({ stderr: '', heldMiB: expect.any(Number) })
  // Each of some thirty moments would hold four.
  expect(Number(stdout)).toBeLessThan(16)
})
