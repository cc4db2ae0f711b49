/**
 * What emulation proves on every change: the suites of jest that can fail for the processor's sake, each with what it is
 * there for. `npm run test:arm64 -- --processor` runs these and all Rust tests for arm64; `npm run test:arm64` runs everything,
 * and that is what a release is decided by.
 *
 * A suite belongs here when it reaches native code that another processor, another compiler or another width of a page can
 * break: kernels and their instructions, alignment, atomics and threads, addresses that pass between the engine and the addon,
 * calls by a C interface, the file of the addon itself. Not here is what is the same text and the same arithmetic on
 * every machine: options, messages, pages, verbs, fixtures of boards. Of the core's own code the Rust tests prove it.
 *
 *     node scripts/processor-suites.mjs     prints their paths; fails where one is missing
 */
import { accessSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const suites = {
  '01-loading': 'the addon for arm64 is found, loaded and called, by either kind of module and by workers',
  '05-platform': 'the file of the addon is recognised by its processor, and another processor is named',
  '13-guards': 'finalizers of guards, which the engine calls with an address of ours',
  '15-workers': 'one count for several threads: atomics',
  '19-two-copies': "two copies of the addon share a struct of atomics that they find by the dynamic linker's tables",
  '20-staging-pool': 'memory aligned to pages becomes array buffers, and comes back by their finalizers',
  '21-process-memory': 'counts of pages become bytes by the size of a page',
  '40-stream-raw': "a loader's thread hands units to the event loop",
  '41-stream-converted': 'the kernels of this processor give the same bits, through the addon',
  '42-chunks': 'many array buffers over one memory: detached, kept, collected',
  '44-abort': 'threads that end in the middle, and environments that end under them',
  '45-load': "threads write into memory of the engine's",
  '49-moved-memory': 'array buffers that move to another thread are freed there',
  '51-memory-taken-back': 'memory that a script takes back while a thread uses it',
  '52-own-chunks': "chunks copied into array buffers of the engine's own",
  '54-threads-and-io': 'several threads that fill one memory, system calls that an emulator may lack, unaligned places',
  '61-memory-pool': 'buffers at every alignment, their views and finalizers',
  '62-device-buffers': "bytes that threads copy between memory of a device and the engine's",
  '63-defragment': 'buffers that a thread moves, and what is in them',
  '65-load-into-device': 'calls of a driver by its C interface, from an addon of this processor',
  '67-pool-slabs': 'slabs that threads take and release while others ask for them',
  '68-pool-statistics': 'figures and traces of the core as numbers and texts of the engine',
  '69-mapped-buffers': 'views over memory of a device, moved to other threads too',
  '70-hostile-calls': 'numbers, addresses and sizes of any kind reach native code',
  '71-released-buffers': 'finalizers of buffers, and what is left when workers end',
  '72-defragment-in-use': 'buffers that a thread moves while others read them',
}

export const paths = Object.keys(suites).map((name) => `__test__/${name}.spec.ts`)

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const path of paths) accessSync(new URL(`../${path}`, import.meta.url))
  console.log(paths.join('\n'))
}
