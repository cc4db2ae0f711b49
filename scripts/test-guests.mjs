// What the package says of memory, against what happens when somebody takes it: in nested memory cgroups, of version 2 in
// a guest and of version 1 on this machine, and in a guest that swaps to compressed RAM. Prints the tables that
// docs/system.md and docs/monitor.md show.
//
//     npm run build:arm64 && npm run test:guests

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { measureRooms } from './guest/inside/room.cjs'
import { makeGuests, runGuest } from './guest/machine.mjs'

const checkout = fileURLToPath(new URL('..', import.meta.url))
const MiB = 2 ** 20
const guests = makeGuests()

const inMiB = (bytes) => (bytes / MiB).toFixed(0)

function print(title, head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  console.log([`\n${title}\n`, line(head), line(head.map(() => '---')), ...rows.map(line), ''].join('\n'))
}

/** What the package says has room, the floor included that it leaves by design. */
const roomBytes = ({ headroomBytes, bindingTerm }) => headroomBytes + bindingTerm.floorBytes

const allowedBytes = ({ takenBytes }) => Math.max(8 * MiB, 0.02 * takenBytes)

const boundText = ({ bound, boundBytes, path }) =>
  `${bound} of ${inMiB(boundBytes)} on ${path.endsWith('/group') ? 'the group' : 'its parent'}`

const printRooms = (title, rooms) =>
  print(
    `${title}, in MiB:`,
    ['bound', 'page cache', 'headroom + floor', 'a hog took', 'availableMemory()', 'constrainedMemory()'],
    rooms.map((room) => [
      boundText(room),
      room.cached,
      ...[roomBytes(room), room.takenBytes, room.availableMemory, room.constrainedMemory].map(inMiB),
    ]),
  )

/** The tests that hold for the groups of either version. */
function roomTests(rooms) {
  test('headroom names the group whose bound is met first', () => {
    for (const { bindingTerm, path } of rooms()) assert.equal(bindingTerm.path, path)
  })

  test('headroom is what can really be taken, whether the page cache is empty or full', () => {
    for (const room of rooms().filter(({ cached }) => cached !== 'active')) {
      const apart = roomBytes(room) - room.takenBytes
      assert.ok(Math.abs(apart) <= allowedBytes(room), `${boundText(room)}, ${room.cached} cache: ${apart} bytes apart`)
    }
  })

  test('headroom leaves out active pages of files, and so promises too little and never too much', () => {
    const room = rooms().find(({ cached }) => cached === 'active')
    assert.ok(roomBytes(room) < room.takenBytes - 100 * MiB)
  })

  test('past a limit the hog is killed, past memory.high it is not', () => {
    for (const { bound, killed } of rooms()) assert.equal(killed, bound === 'limit')
  })
}

describe('memory cgroups of version 2', () => {
  let rooms
  before(async () => {
    rooms = await runGuest(guests, { job: 'cgroups', memoryMiB: 2048 })
    printRooms('Version 2, in a guest', rooms)
  })
  roomTests(() => rooms)
})

const top = '/sys/fs/cgroup/memory'
const canMakeGroups = process.getuid() === 0 && existsSync(`${top}/memory.limit_in_bytes`)

describe('memory cgroups of version 1', {
  skip: !canMakeGroups && 'needs root and the memory controller of version 1',
}, () => {
  let rooms
  before(() => {
    rooms = measureRooms({ version: 1, top, package: checkout, folder: `${checkout}/build` })
    printRooms('Version 1, on this machine', rooms)
  })
  roomTests(() => rooms)
})

/** Less than this is nothing: it is in pages that nobody can be given. */
const NOTHING_BYTES = 10 * MiB

/** What happened to the program that obeyed nothing, in its order. */
function timeline({ heard, looks }) {
  const first = (holds) => looks.find(holds)
  const start = looks[0].availableBytes
  const events = [
    ['growth begins', first(({ availableBytes }) => availableBytes < start - 8 * MiB)],
    ['`warning`', heard.warning],
    ['`critical`', heard.critical],
    ['the first page is swapped out', first(({ zramBytes }) => zramBytes > MiB)],
    ['`pressure`', heard.pressure],
    ['MemAvailable is below 10 MiB', first(({ availableBytes }) => availableBytes < NOTHING_BYTES)],
    ['MemAvailable reads 0', first(({ availableBytes }) => availableBytes === 0)],
    ['the program is killed', heard.kill],
  ]
  return events.filter(([, look]) => look !== undefined).sort(([, a], [, b]) => a.atMs - b.atMs)
}

const printTimeline = (seen) =>
  print(
    'A program that takes 64 MiB a second, in a guest of 1 GiB with 512 MiB of swap on zram:',
    ['', 's after `critical`', 'MemAvailable, MiB', 'SwapFree, MiB', 'RAM of zram, MiB', 'PSI some, last 10 s'],
    timeline(seen).map(([event, look]) => [
      event,
      ((look.atMs - seen.heard.critical.atMs) / 1000).toFixed(1),
      ...[look.availableBytes, look.swapFreeBytes, look.zramBytes].map(inMiB),
      `${look.pressurePercent} %`,
    ]),
  )

describe('swap on compressed RAM', () => {
  let seen
  before(async () => {
    seen = await runGuest(guests, { job: 'zram', memoryMiB: 1024 })
    assert.ok(seen.unheard.heard.critical, 'the level never became critical')
    printTimeline(seen.unheard)
  })

  test('the level is critical at least 2 s before MemAvailable is gone, with all of the swap still free', () => {
    const { heard, looks } = seen.unheard
    const gone = looks.find(({ availableBytes }) => availableBytes < NOTHING_BYTES)
    assert.ok(gone.atMs - heard.critical.atMs >= 2000)
    assert.ok(heard.critical.swapFreeBytes > 511 * MiB)
  })

  test('a program that stops at critical lives, and nothing is killed', () => {
    const { status, killCount, level, heldBytes } = seen.obeyed
    assert.deepEqual({ status, killCount, level }, { status: 0, killCount: 0, level: 'critical' })
    assert.ok(heldBytes > 256 * MiB)
  })

  test('the same program is killed when it does not listen', () => {
    const { signal, killCount } = seen.unheard
    assert.deepEqual({ signal, killCount }, { signal: 'SIGKILL', killCount: 1 })
  })
})
