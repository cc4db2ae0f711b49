// Boots a guest for arm64 under full emulation, with the device tree of any board, and hands back what its program says.

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { boot, quietly } from './console.mjs'

const checkout = fileURLToPath(new URL('../..', import.meta.url))
const kept = join(checkout, 'build/guest')

/** What every guest is: two cores like those of an RK3588, and nothing but a console and a disk. */
const machine = (memoryMiB) => [
  ...['-cpu', 'cortex-a76', '-accel', 'tcg,thread=multi', '-smp', '2', '-m', `${memoryMiB}`],
  ...['-nographic', '-no-reboot', '-nic', 'none'],
]

const shell = (script, ...args) =>
  execFileSync('bash', [join(checkout, 'scripts/guest', script), ...args], { stdio: ['ignore', 'ignore', 'inherit'] })

/** Makes the disk of the guests, and returns its folder, which goes with the process. Ends it if something is missing. */
export function makeGuests() {
  try {
    shell('tools.sh', 'qemu-system-aarch64', 'fdtput', 'modprobe', 'mke2fs', 'cpio')
    mkdirSync(kept, { recursive: true })
    const folder = mkdtempSync(join(kept, 'run-'))
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
    shell('image.sh', folder)
    return folder
  } catch (error) {
    if (error.status === undefined) throw error
    process.exit(1)
  }
}

/** The device tree of the emulated machine under the names of a board. */
function deviceTree(folder, memoryMiB, { model, compatible }) {
  const path = join(folder, 'board.dtb')
  execFileSync('qemu-system-aarch64', ['-machine', `virt,dumpdtb=${path}`, ...machine(memoryMiB)], { stdio: 'ignore' })
  execFileSync('fdtput', ['--type', 's', path, '/', 'model', model])
  execFileSync('fdtput', ['--type', 's', path, '/', 'compatible', ...compatible])
  return path
}

function kernel() {
  const folder = join(kept, 'debian-arm64/kernel/boot')
  return join(
    folder,
    readdirSync(folder).find((name) => name.startsWith('vmlinuz')),
  )
}

/**
 * Runs a program of scripts/guest/inside in a guest, and returns what it reported. The console's text is kept in
 * build/guest.
 */
export async function runGuest(folder, { job, memoryMiB, board, kernelArguments = [] }) {
  const tree = board ? ['-dtb', deviceTree(folder, memoryMiB, board)] : []
  const log = join(kept, `${board?.compatible[0] ?? job}.log`)
  const text = await boot(
    'qemu-system-aarch64',
    [
      ...['-machine', 'virt', ...machine(memoryMiB), ...tree],
      ...['-kernel', kernel(), '-initrd', join(folder, 'initrd.img')],
      ...['-drive', `file=${join(folder, 'disk.img')},format=raw,if=none,id=disk,snapshot=on`],
      ...['-device', 'virtio-blk-device,drive=disk'],
      ...['-append', [quietly('ttyAMA0'), `job=${job}`, ...kernelArguments].join(' ')],
    ],
    log,
  )
  const report = text.match(/^GUEST-REPORT (.*)$/m)
  if (report) return JSON.parse(report[1])
  throw new Error(`expected a report from the guest; its console is in ${log}`)
}
