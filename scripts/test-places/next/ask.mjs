// Starts the server that Next.js built, where nothing but what it was traced to need is there, and asks it once.
import { spawn } from 'node:child_process'
import { copyFileSync, cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

const folder = mkdtempSync(join(tmpdir(), 'plimsoll-next-'))
cpSync('next/.next/standalone', folder, { recursive: true, verbatimSymlinks: true })
const home = join(folder, 'next')
copyFileSync('model.gguf', join(home, 'model.gguf'))
const env = { ...process.env, PORT: '31217', HOSTNAME: '127.0.0.1' }
const server = spawn(process.execPath, ['server.js'], { cwd: home, env, stdio: ['ignore', 'inherit', 'inherit'] })
try {
  let answer
  for (let tries = 0; answer === undefined && tries < 100 && server.exitCode === null; tries++) {
    await setTimeout(100)
    answer = await fetch('http://127.0.0.1:31217/').catch(() => undefined)
  }
  console.log(answer?.status, await answer?.text())
} finally {
  server.kill()
  rmSync(folder, { recursive: true, force: true })
}
