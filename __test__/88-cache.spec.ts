import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dropPageCache, MiB, pageCache } from 'plimsoll'
import { folderForTest, isOnDisk, writtenToDisk } from './helpers/cached-files'
import { root, runNode } from './helpers/child'
import { samplePath } from './helpers/models'

const cli = join(root, 'dist/cli.js')

/** A home without models of its own; what a variable names stands before it. */
const nowhere = {
  HOME: '/nonexistent',
  HF_HUB_CACHE: '',
  HF_HOME: '',
  LLAMA_CACHE: '',
  OLLAMA_MODELS: '',
  XDG_CACHE_HOME: '',
}

const cache = (args: string[], env: Record<string, string> = {}) =>
  runNode([cli, 'cache', ...args], { env: { ...nowhere, ...env } })

const document = (args: string[], env?: Record<string, string>) => JSON.parse(cache([...args, '--json'], env).stdout)

const pathsOf = (told: { files: { path: string }[] }): string[] => told.files.map(({ path }) => path)

const testOnDisk = isOnDisk ? test : test.skip

testOnDisk('lists the files of a folder, the largest in the cache first, and counts those that hold none', async () => {
  using folder = folderForTest()
  const [small, large, cold] = ['small.gguf', 'sub/large.GGUF', 'cold.gguf'].map((name) => join(folder.path, name))
  mkdirSync(join(folder.path, 'sub'))
  writtenToDisk(small as string, MiB)
  writtenToDisk(large as string, 2 * MiB)
  writtenToDisk(join(folder.path, 'no-model.bin'), MiB)
  await dropPageCache(writtenToDisk(cold as string, MiB))
  const { status, stdout, stderr } = cache([folder.path])
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toContain('3.00 MiB cached of 3 files of 4.00 MiB')
  expect(stdout).toMatch(
    / 2\.00 MiB {2}2\.00 MiB {2}100\.0 % {2}\S*large\.GGUF\n +1\.00 MiB {2}1\.00 MiB {2}100\.0 % {2}\S*small\.gguf\n/,
  )
  expect(stdout).toContain('1 more file holds none')
  expect(stdout).not.toContain('no-model')
  const told = document([folder.path])
  expect(pathsOf(told)).toEqual([large, small, cold])
  expect(told).toMatchObject({
    dropped: false,
    totals: { fileCount: 3, sizeBytes: 4 * MiB, cachedBytes: 3 * MiB, droppedBytes: null, untoldCount: 0 },
    passedOver: [],
  })
  expect(told.files[0]).toMatchObject({
    cachedBytes: 2 * MiB,
    droppedBytes: null,
    inMemory: false,
    reason: null,
    mappedBy: null,
  })
  expect(await pageCache(cold as string)).toMatchObject({ cachedBytes: 0 })
})

testOnDisk('--drop gives back what is cached and tells of each file what came back and what stays', async () => {
  using folder = folderForTest()
  const path = writtenToDisk(join(folder.path, 'model.gguf'), 2 * MiB)
  const { status, stdout } = cache([folder.path, '--drop'])
  expect(status).toBe(0)
  expect(stdout).toMatch(/2\.00 MiB came back and 0 bytes stay, of 1 file of 2\.00 MiB/)
  expect(await pageCache(path)).toMatchObject({ cachedBytes: 0 })
  readFileSync(path)
  expect(document([path, '--drop'])).toMatchObject({
    dropped: true,
    files: [{ path, cachedBeforeBytes: 2 * MiB, droppedBytes: 2 * MiB, cachedBytes: 0, mappedBy: [] }],
    totals: { droppedBytes: 2 * MiB, cachedBytes: 0 },
  })
})

testOnDisk('a file that is mapped stays, and who has it mapped is named', async () => {
  using folder = folderForTest()
  // Every process has its program mapped.
  const path = join(folder.path, 'program.gguf')
  writeFileSync(path, readFileSync(existsSync('/bin/sleep') ? '/bin/sleep' : '/bin/busybox'))
  chmodSync(path, 0o755)
  const child = spawn(path, ['1000'], { argv0: 'sleep' })
  try {
    await once(child, 'spawn')
    const [file] = document([path, '--drop']).files
    expect(file.cachedBytes).toBeGreaterThan(0)
    expect(file.mappedBy).toEqual([{ pid: child.pid, name: 'program.gguf' }])
    expect(cache([path, '--drop']).stdout).toContain(
      `mapped by ${child.pid} program.gguf; it stays until they let it go`,
    )
  } finally {
    child.kill()
    await once(child, 'close')
  }
})

testOnDisk('links to files are followed and counted once, links to folders are not, in a circle or not', () => {
  using folder = folderForTest()
  const blobs = join(folder.path, 'blobs')
  mkdirSync(blobs)
  mkdirSync(join(folder.path, 'snapshots'))
  writtenToDisk(join(blobs, 'a'.repeat(64)), MiB)
  symlinkSync(`../blobs/${'a'.repeat(64)}`, join(folder.path, 'snapshots/model.gguf'))
  symlinkSync('model.gguf', join(folder.path, 'snapshots/other.gguf'))
  symlinkSync('..', join(folder.path, 'snapshots/up'))
  symlinkSync('loop.gguf', join(folder.path, 'loop.gguf'))
  symlinkSync('nowhere', join(folder.path, 'dangling.gguf'))
  const { files, passedOver } = document([folder.path, folder.path])
  expect(files).toHaveLength(1)
  expect(files[0]).toMatchObject({ sizeBytes: MiB, cachedBytes: MiB })
  expect(passedOver.map(({ path }: { path: string }) => path).sort()).toEqual(
    ['dangling.gguf', 'dangling.gguf', 'loop.gguf', 'loop.gguf'].map((name) => join(folder.path, name)),
  )
})

testOnDisk("Ollama's files count where they begin as GGUF files do", () => {
  using folder = folderForTest()
  const [model, other, short] = ['1', '2', '3'].map((digit) => join(folder.path, `sha256-${digit.repeat(64)}`))
  writtenToDisk(model as string, MiB, 'GGUF')
  writtenToDisk(other as string, MiB, '{"a"')
  writtenToDisk(short as string, 2, 'GG')
  expect(pathsOf(document([folder.path]))).toEqual([model])
})

testOnDisk('without a path it looks through the current folder and where programs keep their models', () => {
  using here = folderForTest()
  using models = folderForTest()
  writtenToDisk(join(models.path, 'model.gguf'), MiB)
  for (const [variable, folder] of [
    ['HF_HUB_CACHE', models.path],
    ['LLAMA_CACHE', models.path],
    ['OLLAMA_MODELS', models.path],
  ] as const) {
    const { status, stdout } = runNode(
      [
        '-e',
        `process.chdir(${JSON.stringify(here.path)}); process.argv.splice(1, 0, 'x'); require(${JSON.stringify(cli)})`,
        'cache',
        '--json',
      ],
      {
        env: { ...nowhere, [variable]: folder },
      },
    )
    expect(status).toBe(0)
    expect(pathsOf(JSON.parse(stdout))).toContain(join(models.path, 'model.gguf'))
  }
})

test('a path that is not there or no file ends with 3 before anything is dropped', async () => {
  using folder = folderForTest()
  const path = writtenToDisk(join(folder.path, 'model.gguf'), MiB)
  for (const other of [join(folder.path, 'missing'), '/dev/null']) {
    const { status, stdout, stderr } = cache([path, other, '--drop'])
    expect({ status, stdout }).toEqual({ status: 3, stdout: '' })
    expect(stderr).toContain(other)
    expect(await pageCache(path)).toMatchObject({ cachedBytes: MiB })
  }
  expect(document([join(folder.path, 'missing')]).error).toMatchObject({ code: 'ERR_IO' })
})

test('a file that is named counts, whatever it is', () => {
  expect(pathsOf(document([samplePath, join(root, 'package.json')])).sort()).toEqual([
    samplePath,
    join(root, 'package.json'),
  ])
})

const testAsRoot = process.getuid?.() === 0 ? test : test.skip

testAsRoot('a folder that this user may not read is told and passed over', () => {
  using folder = folderForTest()
  chmodSync(folder.path, 0o755)
  const closed = join(folder.path, 'closed')
  mkdirSync(closed, { mode: 0o700 })
  writeFileSync(join(folder.path, 'model.gguf'), 'GGUF')
  const script = `process.setgroups([]); process.setgid(65534); process.setuid(65534)`
  const run = (path: string) =>
    runNode([
      '-e',
      `require(${JSON.stringify(join(root, 'dist/index.js'))}); ${script}; process.argv.splice(1, 0, 'x'); require(${JSON.stringify(cli)})`,
      'cache',
      path,
    ])
  const { status, stdout, stderr } = run(folder.path)
  expect(status).toBe(0)
  expect(stderr).toContain(`plimsoll cache: passed over ${closed}: EACCES`)
  expect(stdout).toContain('model.gguf')
  expect(run(closed)).toMatchObject({ status: 3, stdout: '' })
})

test('Ctrl-C ends it with 130', async () => {
  const child = spawn(process.execPath, [cli, 'cache', '/', '--json'], { env: { ...process.env, ...nowhere } })
  let stdout = ''
  child.stdout.on('data', (text) => {
    stdout += text
  })
  const timer = setInterval(() => child.kill('SIGINT'), 1000)
  const [status, signal] = await once(child, 'close')
  clearInterval(timer)
  // One that came before the program listened, or after it was asked already, ends it as any other.
  if (signal !== null) return expect(signal).toBe('SIGINT')
  expect(status).toBe(130)
  expect(JSON.parse(stdout).error.code).toBe('ABORT_ERR')
})
