// Boots a guest as each of two boards, with the package for arm64 inside, and checks what `plimsoll doctor`, a load and
// the readers under them say there. A guest is fully emulated, so any machine will do; scripts/guest says what it is
// made of.
//
//     npm run build:arm64 && npm run test:boards

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { totalmem } from 'node:os'
import { before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { checksum } from './guest/inside/checksum.cjs'
import { makeGuests, runGuest } from './guest/machine.mjs'

const checkout = fileURLToPath(new URL('..', import.meta.url))
const plimsoll = createRequire(import.meta.url)('plimsoll')
const { MiB } = plimsoll
const model = 'examples/models/plimsoll-sample-llama.gguf'

const CMA_BYTES = 128 * MiB
/** Two readings of a running machine differ by what happened between them. */
const APART_BYTES = 16 * MiB

// An emulator takes memory as its guest touches it, but asks for all of it at the start.
const hasRoomFor8GB = totalmem() > 10 * 1024 * MiB

const boards = [
  {
    model: 'Radxa ROCK 5B',
    compatible: ['radxa,rock-5b', 'rockchip,rk3588'],
    memoryMiB: 3500,
    expected: { vendor: 'Rockchip', soc: 'RK3588', preset: 'rk3588-4gb' },
  },
  {
    model: 'NVIDIA Jetson Orin Nano Developer Kit',
    compatible: ['nvidia,p3768-0000+p3767-0005', 'nvidia,p3767-0005', 'nvidia,tegra234'],
    release: '# R36 (release), REVISION: 4.7, GCID: 42132812, BOARD: generic, EABI: aarch64',
    memoryMiB: hasRoomFor8GB ? 7620 : 3500,
    expected: {
      vendor: 'NVIDIA',
      soc: 'Tegra234',
      module: 'p3767-0005',
      l4t: '36.4.7',
      jetpack: '6.2.1',
      preset: hasRoomFor8GB ? 'orin-nano-8gb' : 'orin-nano-4gb',
    },
  },
]

const loadedHere = async () => ({
  load: JSON.parse(
    execFileSync(process.execPath, ['dist/cli.js', 'load', model, '--as', 'f32', '--json'], { cwd: checkout }),
  ),
  checksum: await checksum(plimsoll, `${checkout}/${model}`),
})

const guests = makeGuests()

for (const { model: name, compatible, release, memoryMiB, expected } of boards) {
  describe(name, () => {
    let seen
    let here
    before(async () => {
      const l4t = release ? [`L4T_RELEASE=${encodeURIComponent(release)}`] : []
      const kernelArguments = [`cma=${CMA_BYTES / MiB}M`, ...l4t]
      seen = await runGuest(guests, { job: 'boards', memoryMiB, board: { model: name, compatible }, kernelArguments })
      here = await loadedHere()
    })

    test('is recognised by its device tree, and its preset by the memory that is there', () => {
      const { totalBytes, kernelRelease, ...board } = seen.board
      assert.deepEqual(board, { name, compatible, unifiedMemory: true, ...expected })
      assert.match(kernelRelease, /-arm64$/)
      assert.ok(totalBytes < memoryMiB * MiB && totalBytes > 0.9 * memoryMiB * MiB)
    })

    test('doctor runs the addon for arm64 with its vector instructions', () => {
      const { architecture, platform, instructionSet, addon, version } = seen.doctor
      assert.deepEqual(
        { architecture, platform, instructionSet },
        { architecture: 'arm64', platform: 'linux', instructionSet: 'neon' },
      )
      assert.equal(addon.platform, 'linux-arm64-gnu')
      assert.equal(version, JSON.parse(readFileSync(`${checkout}/package.json`, 'utf8')).version)
    })

    test("doctor draws the line with the preset's share among its terms", () => {
      const { line } = seen.doctor
      const preset = plimsoll.boardPresets.find(({ id }) => id === expected.preset)
      const term = line.terms.find(({ kind }) => kind === 'preset')
      assert.equal(term?.bytes, preset.usableBytes)
      assert.equal(line.lineBytes, Math.min(...line.terms.map(({ bytes }) => bytes)))
      assert.ok(line.lineBytes < seen.board.totalBytes - preset.reservedBytes + 1)
    })

    test('every signal of a mainline kernel is there, and what is missing says why', () => {
      const { memory, pressure, zram, process, largestFreeRunBytes, oomKillCount, transparentHugePages, missing } =
        seen.signals
      assert.equal(memory.cmaTotalBytes, CMA_BYTES)
      assert.ok(Math.abs(memory.swapTotalBytes - 512 * MiB) < MiB)
      assert.ok(pressure.some.totalMs >= 0)
      assert.equal(zram.storedBytes >= 0 && zram.usedBytes < MiB, true)
      assert.ok(process.anonymousBytes > 0)
      assert.ok(largestFreeRunBytes >= MiB)
      assert.equal(oomKillCount, 0)
      assert.equal(transparentHugePages, 'always')
      assert.deepEqual(missing.map(({ signal }) => signal).sort(), ['npuDriver', 'nvmapClients'])
      for (const { reason } of missing) assert.ok(reason.length > 0)
    })

    test('headroom leaves out the free contiguous memory, the swap and the files that are mapped', () => {
      const { memory } = seen.signals
      assert.ok(memory.cmaFreeBytes > 100 * MiB, `only ${memory.cmaFreeBytes} of ${CMA_BYTES} bytes are free`)
      assert.ok(memory.mappedFileBytes > MiB, `only ${memory.mappedFileBytes} bytes of files are mapped`)
      const apart = seen.headroom.bytes - (memory.availableBytes - memory.cmaFreeBytes - memory.mappedFileBytes)
      assert.ok(Math.abs(apart) < APART_BYTES, `it is ${apart} bytes off`)
    })

    test('one allocation is bound by the driver on Jetson alone, of this release by a rule that nobody knows', () => {
      const { bytes, largestAllocationBytes } = seen.headroom
      assert.equal(largestAllocationBytes, expected.vendor === 'NVIDIA' ? undefined : bytes)
    })

    test('a load gives the same bytes as on this machine, and releases its grant', () => {
      const bytes = ({ tensorCount, storedBytes, dataBytes, balanceBytes }) => ({
        tensorCount,
        storedBytes,
        dataBytes,
        balanceBytes,
      })
      assert.deepEqual(bytes(seen.load), bytes(here.load))
      assert.equal(seen.load.balanceBytes, 0)
      assert.equal(seen.checksum, here.checksum)
    })
  })
}
