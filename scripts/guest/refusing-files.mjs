// A file system of one file, model.gguf, that opens it for direct reads and then refuses each, as some do. It is served from
// here, over the protocol of the kernel's FUSE: https://docs.kernel.org/filesystems/fuse.html, its numbers in linux/fuse.h.
//
//     node refusing-files.mjs MODEL FOLDER     mounts it on FOLDER and says "mounted"

import { spawnSync } from 'node:child_process'
import { constants, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { constants as system } from 'node:os'

const { EINVAL, ENOENT, ENOSYS } = system.errno
const [model, folder] = process.argv.slice(2)
const content = readFileSync(model)
const NAME = 'model.gguf'
/** The number of its node; the folder has 1. */
const FILE = 2
const HEADER_BYTES = 40
const FOREVER_S = 3600n

/** A structure of the protocol, of so many bytes, with numbers at their places: of 4 bytes, or 8 where they are big. */
function structure(sizeBytes, fields) {
  const bytes = Buffer.alloc(sizeBytes)
  for (const [at, value] of Object.entries(fields)) {
    if (typeof value === 'bigint') bytes.writeBigUInt64LE(value, Number(at))
    else bytes.writeUInt32LE(value, Number(at))
  }
  return bytes
}

function attributes(node) {
  const [sizeBytes, mode] = node === FILE ? [content.length, constants.S_IFREG | 0o444] : [0, constants.S_IFDIR | 0o555]
  return structure(88, { 0: BigInt(node), 8: BigInt(sizeBytes), 60: mode, 64: 1, 80: 4096 })
}

const operations = {
  /** LOOKUP */
  1: (_, request) => {
    if (request.toString('utf8', HEADER_BYTES, request.length - 1) !== NAME) return -ENOENT
    return Buffer.concat([structure(40, { 0: BigInt(FILE), 16: FOREVER_S, 24: FOREVER_S }), attributes(FILE)])
  },
  /** GETATTR */
  3: (node) => Buffer.concat([structure(16, { 0: FOREVER_S }), attributes(node)]),
  /** OPEN */
  14: () => Buffer.alloc(16),
  /** READ */
  15: (_, request) => {
    if (request.readUInt32LE(HEADER_BYTES + 32) & constants.O_DIRECT) return -EINVAL
    const start = Number(request.readBigUInt64LE(HEADER_BYTES + 8))
    return content.subarray(start, start + request.readUInt32LE(HEADER_BYTES + 16))
  },
  /** RELEASE */
  18: () => Buffer.alloc(0),
  /** INIT */
  26: () => structure(64, { 0: 7, 4: 31, 8: 1 << 17, 20: 4096 }),
}
/** FORGET and BATCH_FORGET, which nobody answers. */
const unanswered = [2, 42]

const device = openSync('/dev/fuse', 'r+')
const options = `fd=3,rootmode=40000,user_id=0,group_id=0`
const { status } = spawnSync('mount', ['-t', 'fuse', '-o', options, 'refusing', folder], {
  stdio: ['ignore', 'inherit', 'inherit', device],
})
if (status !== 0) process.exit(1)
console.log('mounted')

const buffer = Buffer.alloc(1 << 17)
for (;;) {
  const request = buffer.subarray(0, readSync(device, buffer))
  const [operation, node] = [request.readUInt32LE(4), Number(request.readBigUInt64LE(16))]
  if (unanswered.includes(operation)) continue
  const answer = operations[operation]?.(node, request) ?? -ENOSYS
  const body = typeof answer === 'number' ? Buffer.alloc(0) : answer
  const header = Buffer.alloc(16)
  header.writeUInt32LE(header.length + body.length)
  header.writeInt32LE(typeof answer === 'number' ? answer : 0, 4)
  request.copy(header, 8, 8, 16)
  writeSync(device, Buffer.concat([header, body]))
}
