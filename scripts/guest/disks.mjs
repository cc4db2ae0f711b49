// What a guest runs from JavaScript: models on file systems that refuse direct reads, on a disk with a bad place, and in a
// memory cgroup that is smaller than they are.

import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs'
import { constants } from 'node:os'
import { GgufFile, IoError, MiB, StagingPool } from 'plimsoll'
import group from './group.cjs'
import { writeSparseModel } from './sparse-model.mjs'

const [sample] = process.argv.slice(2)
const run = (...command) => execFileSync(command[0], command.slice(1), { stdio: ['ignore', 'inherit', 'inherit'] })

function mount(type, name, ...options) {
  const folder = `/tmp/${name}`
  mkdirSync(folder)
  run('mount', '-t', type, ...options, folder)
  return folder
}

function dropCaches() {
  run('sync')
  writeFileSync('/proc/sys/vm/drop_caches', '3')
}

/** The SHA-256 of every byte of a model, read so; and by which calls it was read in fact. */
async function digest(path, options) {
  const model = GgufFile.open(path)
  const hash = createHash('sha256')
  let [io, reason] = []
  const onProgress = (progress) => {
    ;[io, reason] = [progress.io, progress.ioReason]
  }
  for await (const { data } of model.stream({ ...options, onProgress })) hash.update(data)
  model.close()
  return { sha256: hash.digest('hex'), io, reason }
}

async function serveRefusingFiles() {
  const folder = '/tmp/refusing'
  mkdirSync(folder)
  const server = spawn(process.execPath, ['/app/refusing-files.mjs', sample, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(server.stdout, 'data')
  return { folder, server }
}

function mountOverlay(name, lower) {
  for (const part of ['upper', 'work']) mkdirSync(`/disk/${name}/${part}`, { recursive: true })
  const options = `lowerdir=${lower},upperdir=/disk/${name}/upper,workdir=/disk/${name}/work`
  return mount('overlay', name, '-o', options, 'overlay')
}

async function directReads() {
  const folders = { ext4: '/disk', ramfs: mount('ramfs', 'ramfs', 'ramfs'), tmpfs: mount('tmpfs', 'tmpfs', 'tmpfs') }
  for (const folder of Object.values(folders)) copyFileSync(sample, `${folder}/model.gguf`)
  folders['overlay over ext4'] = mountOverlay('over-ext4', '/disk')
  folders['overlay over ramfs'] = mountOverlay('over-ramfs', folders.ramfs)
  const { folder, server } = await serveRefusingFiles()
  folders.FUSE = folder
  const refusals = {
    ramfs: /^the file cannot be opened past the page cache: Invalid argument/,
    'overlay over ramfs': /^the file cannot be opened past the page cache: Invalid argument/,
    FUSE: /^a read past the page cache failed: Invalid argument/,
  }
  const expected = await digest(sample)
  for (const [name, folder] of Object.entries(folders)) {
    for (const options of [
      { threads: 1 },
      { threads: 3 },
      { threads: 1, dropBehind: true },
      { threads: 2, as: 'f32' },
    ]) {
      const { sha256 } = options.as ? await digest(sample, options) : expected
      const found = await digest(`${folder}/model.gguf`, { io: 'direct', ...options })
      const what = `${name}, ${JSON.stringify(options)}: ${found.io}, ${found.reason}`
      assert.equal(found.sha256, sha256, what)
      if (refusals[name]) assert.match(found.reason ?? '', refusals[name], what)
      assert.equal(found.io, refusals[name] ? 'read' : 'direct', what)
    }
  }
  server.kill()
  const refused = Object.keys(refusals).join(', ')
  return `direct reads, refused at opening or at reading by ${refused}: the bytes are the same, and the reason is told`
}

/** Writes a model of two tensors that are no hole, and returns the second. */
function writeTwo(path) {
  const [first, second] = writeSparseModel(path, [
    { name: 'first', type: 'I8', blocks: 6 * MiB + 1000 },
    { name: 'second', type: 'I8', blocks: 10 * MiB },
  ])
  const file = openSync(path, 'r+')
  for (const { offsetBytes, sizeBytes } of [first, second])
    writeSync(file, Buffer.alloc(sizeBytes, 1), 0, sizeBytes, offsetBytes)
  return { first, second, file }
}

/** Where bytes of 512 lie on a disk. */
function findSector(device, marker) {
  const disk = openSync(device, 'r')
  const part = Buffer.alloc(MiB)
  for (let at = 0; readSync(disk, part, 0, part.length, at) > 0; at += part.length) {
    const found = part.indexOf(marker)
    if (found >= 0) return (at + found) / 512
  }
  throw new Error('expected the marker on the disk')
}

async function badPlace() {
  const settings = '/sys/kernel/config/nullb/bad'
  mkdirSync(settings)
  for (const [key, value] of Object.entries({ size: 64, memory_backed: 1, power: 1 }))
    writeFileSync(`${settings}/${key}`, `${value}`)
  run('mke2fs', '-q', '-t', 'ext4', '-O', '^has_journal', '/dev/bad')
  const path = `${mount('ext4', 'bad', '/dev/bad')}/model.gguf`
  const { first, second, file } = writeTwo(path)
  const badAt = Math.ceil((second.offsetBytes + 4 * MiB) / 4096) * 4096
  const marker = Buffer.alloc(512, 'a bad place ')
  writeSync(file, marker, 0, marker.length, badAt)
  dropCaches()
  const sector = findSector('/dev/bad', marker)
  writeFileSync(`${settings}/badblocks`, `+${sector}-${sector}`)

  const ways = ['read', 'mmap', 'direct'].flatMap((io) => [
    { io, threads: 1, dropBehind: true },
    { io, threads: 4, dropBehind: false },
  ])
  for (const way of ways) {
    dropCaches()
    await expectTold(path, way, { first, badAt })
  }
  return `a bad sector, read in ${ways.length} ways: ERR_IO with EIO, the tensor and the place; what lies elsewhere is read`
}

/** A model whose second tensor has a bad place: everything before it comes, and then the error. */
async function expectTold(path, way, { first, badAt }) {
  const model = GgufFile.open(path)
  const staging = new StagingPool()
  let bytes = 0
  const reading = async () => {
    for await (const { data } of model.stream({ ...way, staging })) bytes += data.length
  }
  const error = await reading().then(
    () => undefined,
    (error) => error,
  )
  const what = `${JSON.stringify(way)}: ${error}`
  assert.ok(error instanceof IoError, what)
  const { code, tensor, offset, errno } = error
  assert.deepEqual({ code, tensor, errno }, { code: 'ERR_IO', tensor: 'second', errno: constants.errno.EIO }, what)
  // Where the read began that failed.
  assert.ok(offset <= badAt && offset > badAt - 2 * MiB, what)
  assert.ok(bytes >= first.sizeBytes && bytes <= badAt, what)
  assert.equal(staging.stats().inUseBytes, 0, what)
  await assert.rejects(model.load('second', way), { code: 'ERR_IO', tensor: 'second' })
  assert.equal((await model.load('first', way)).length, first.sizeBytes)
  staging.close()
  model.close()
}

function smallGroup() {
  const path = '/disk/large.gguf'
  const blocks = Math.floor((192 * MiB) / 34)
  writeSparseModel(path, [{ name: 'large', type: 'Q8_0', blocks }])
  writeFileSync('/sys/fs/cgroup/cgroup.subtree_control', '+memory')
  const small = new group.Group(2, '/sys/fs/cgroup', 'small')
  small.bound('limit', 128 * MiB)
  const told = []
  for (const dropBehind of [false, true]) {
    const script = 'echo 0 >/proc/self/oom_score_adj && exec "$0" "$@"'
    const stream = [process.execPath, '/app/stream.cjs', 'plimsoll', path, JSON.stringify({ as: 'f32', dropBehind })]
    const { status, signal, stdout, stderr } = small.run('sh', '-c', script, ...stream)
    const what = `dropBehind: ${dropBehind}: ${status ?? signal} ${stderr}`
    assert.equal(status, 0, what)
    const { bytes, peakRssBytes } = JSON.parse(stdout)
    assert.equal(bytes, blocks * 32 * 4, what)
    told.push(`${Math.round(peakRssBytes / MiB)} MiB`)
  }
  const events = readFileSync('/sys/fs/cgroup/small/memory.events', 'utf8')
  assert.match(events, /^oom_kill 0$/m)
  return `192 MiB as f32 in a group of 128 MiB: no kill; peak RSS ${told.join(', and with dropBehind ')}`
}

for (const part of [directReads, badPlace, smallGroup]) console.log(`ok: ${await part()}`)
