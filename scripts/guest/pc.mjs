// Boots a guest for x86-64 under full emulation, whose kernel has dma-heaps, udmabuf and a DRM driver without hardware. Its
// programs are those of this machine, so that is x86-64 too.

import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { boot, quietly } from './console.mjs'

const checkout = fileURLToPath(new URL('../..', import.meta.url))
const kept = join(checkout, 'build/guest')

/**
 * With five levels of page tables the guest panics while it unpacks a large file system. And it is to clear and copy
 * memory by words, as an emulator takes each step of a string instruction by itself.
 */
const PROCESSOR = 'max,la57=off,erms=off,fsrm=off'

const shell = (script, ...args) =>
  execFileSync('bash', [join(checkout, 'scripts/guest', script), ...args], { stdio: ['ignore', 'inherit', 'inherit'] })

const quoted = (word) => `'${word.replaceAll("'", "'\\''")}'`

/** The job: every step, the failed ones too, each under its title. */
const script = (steps) =>
  [
    'failed=0',
    ...steps.flatMap(({ title, command }) => [
      `echo ${quoted(`== ${title}`)}`,
      `${command.map(quoted).join(' ')} || { echo ${quoted(`FAILED: ${title}`)}; failed=1; }`,
    ]),
    'exit $failed\n',
  ].join('\n')

function kernel() {
  const folder = join(kept, 'debian-amd64/kernel/boot')
  return join(
    folder,
    readdirSync(folder).find((name) => name.startsWith('vmlinuz')),
  )
}

/**
 * Runs steps in a guest, one after the other: `{ title, command }`, a command with its arguments as paths in the guest.
 * `files` are the paths there and here of what is copied; programs get their libraries. What the console says goes to
 * standard output as it comes. Throws when a step failed. With `disk` the image that is there is used, and kept; with `cut` the
 * guest is ended in the middle (`console.mjs`). Returns what its console said.
 */
export async function runPc({ name, memoryMiB, files, steps, disk: given, cut }) {
  shell('tools.sh', 'qemu-system-x86_64', 'modprobe', 'mke2fs', 'cpio', 'xz')
  mkdirSync(kept, { recursive: true })
  const folder = mkdtempSync(join(kept, 'run-'))
  try {
    const [root, image, fresh] = ['root', 'initrd.img', 'disk.img'].map((name) => join(folder, name))
    const disk = given ?? fresh
    mkdirSync(root)
    for (const [there, here] of Object.entries(files)) {
      mkdirSync(dirname(join(root, there)), { recursive: true })
      cpSync(here, join(root, there), { recursive: true, dereference: true })
    }
    writeFileSync(join(root, 'job'), script(steps))
    shell('initrd.sh', root, image)
    if (!existsSync(disk)) shell('disk.sh', disk)
    const args = [
      ...['-accel', 'tcg,thread=multi', '-cpu', PROCESSOR, '-smp', '2', '-m', `${memoryMiB}`],
      ...[
        '-display',
        'none',
        '-serial',
        'stdio',
        '-monitor',
        'none',
        '-no-reboot',
        '-nic',
        'none',
        '-kernel',
        kernel(),
        '-initrd',
        image,
      ],
      ...['-drive', `file=${disk},format=raw,if=virtio`],
      ...['-append', `${quietly('ttyS0')} no_timer_check`],
    ]
    return await boot('qemu-system-x86_64', args, join(kept, `${name}.log`), (text) => process.stdout.write(text), cut)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
