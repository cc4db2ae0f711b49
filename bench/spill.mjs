#!/usr/bin/env node
// Pages to a file and back, beside the disk itself: the same bytes written, synced, dropped from the page cache and read by plain
// calls in the same folder. A page is 1 MiB. In turn, the median of some rounds:
//
//     node bench/spill.mjs [FOLDER]

import { randomBytes } from 'node:crypto'
import { closeSync, fdatasyncSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const { dropPageCache, MemoryPool, PageStore } = createRequire(import.meta.url)('..')
const folder = process.argv[2] ?? tmpdir()
const [PAGE, PAGES, ROUNDS] = [2 ** 20, 256, 5]
const pages = Array.from({ length: 16 }, () => randomBytes(PAGE))
const perSecond = (ms) => (PAGES * PAGE) / 2 ** 20 / (ms / 1000)
const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)]

async function timed(act) {
  const began = performance.now()
  await act()
  return perSecond(performance.now() - began)
}

async function disk() {
  const path = join(folder, `plimsoll-bench-${process.pid}`)
  const fd = openSync(path, 'w+')
  const write = await timed(() => {
    for (let at = 0; at < PAGES; at++) writeSync(fd, pages[at % 16], 0, PAGE, at * PAGE)
    fdatasyncSync(fd)
  })
  await dropPageCache(path)
  const read = await timed(() => {
    const page = Buffer.alloc(PAGE)
    for (let at = 0; at < PAGES; at++) readSync(fd, page, 0, PAGE, at * PAGE)
  })
  closeSync(fd)
  rmSync(path)
  return { write, read }
}

async function store() {
  const pool = await MemoryPool.create({ device: 'host' })
  const store = await PageStore.create({ pool, pageBytes: PAGE, folder })
  for (let at = 0; at < PAGES; at++) await store.put(at, pages[at % 16])
  const write = await timed(() => store.spill())
  const read = await timed(async () => {
    for (let at = 0; at < PAGES; at++) {
      const page = await store.get(at)
      if (Buffer.compare(page, pages[at % 16]) !== 0) throw new Error(`page ${at} came back as another`)
    }
  })
  await store.close()
  await pool.close()
  return { write, read }
}

const rounds = { disk: [], store: [] }
for (let round = 0; round < ROUNDS; round++) {
  rounds.disk.push(await disk())
  rounds.store.push(await store())
}
for (const way of ['write', 'read']) {
  const [ofDisk, ofStore] = [rounds.disk, rounds.store].map((each) => median(each.map((figures) => figures[way])))
  const ratio = median(rounds.disk.map((figures, at) => rounds.store[at][way] / figures[way]))
  console.log(
    `${way === 'write' ? 'spilled' : 'back'}: ${ofStore.toFixed(0)} MiB/s, the disk ${ofDisk.toFixed(0)} MiB/s, ${ratio.toFixed(2)} of it`,
  )
}
