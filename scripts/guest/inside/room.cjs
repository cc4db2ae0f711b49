// What memory cgroups have room for: what the package says, what Node.js says, and what a hog then really gets.

const { execFileSync } = require('node:child_process')
const { truncateSync, unlinkSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')
const { Group } = require('./group.cjs')

const MiB = 2 ** 20

/** Above `high` by more than the kernel's own batches, and reclaim can no longer keep the group below it. */
const BEYOND_HIGH_BYTES = 2 * MiB

const cache = {
  empty: () => {},
  /** More than fits, read once: the kernel counts it as inactive. */
  full: (group, file) => read(group, file, 640),
  /** Less than fits, read twice: the kernel counts it as active. */
  active: (group, file) => {
    for (const _time of ['first', 'second']) read(group, file, 192)
  },
}

function read(group, file, sizeMiB) {
  truncateSync(file, sizeMiB * MiB)
  group.run('dd', `if=${file}`, 'of=/dev/null', 'bs=1048576')
}

/** Which bounds the two groups get, in MiB, and which of them binds. */
const bounds = {
  inner: { outer: { limit: 384 }, inner: { limit: 256 }, binding: { group: 'inner', kind: 'limit' } },
  outer: { outer: { limit: 384 }, inner: { limit: 512 }, binding: { group: 'outer', kind: 'limit' } },
  high: { outer: { limit: 448, high: 320 }, inner: { limit: 512 }, binding: { group: 'outer', kind: 'high' } },
}

const cases = [
  ['inner', 'empty'],
  ['inner', 'full'],
  ['outer', 'empty'],
  ['outer', 'full'],
  ['outer', 'active'],
  ['high', 'empty'],
  ['high', 'full'],
]

/** Lets the hog loose in a group, and returns what it said and what it took. */
function letLoose(group, package, until) {
  const hog = join(__dirname, 'hog.cjs')
  const { stdout, stderr, signal } = group.run(process.execPath, hog, package, ...until.map(String))
  const [said, ...held] = stdout.trim().split('\n')
  if (held.length === 0) throw new Error(`expected the hog to take memory, got ${stdout}${stderr}`)
  return { ...JSON.parse(said), takenBytes: Number(held.at(-1)), killed: signal === 'SIGKILL' }
}

function measure({ version, top, package, folder }, [name, cached]) {
  const { binding, ...wanted } = bounds[name]
  const outer = new Group(version, top, `/plimsoll-${process.pid}`)
  const groups = { outer, inner: outer.nest('group') }
  const file = join(folder, `cached-${process.pid}`)
  writeFileSync(file, '')
  try {
    for (const [group, kinds] of Object.entries(wanted)) {
      for (const [kind, sizeMiB] of Object.entries(kinds)) groups[group].bound(kind, sizeMiB * MiB)
    }
    cache[cached](groups.inner, file)
    const { path, usageFile } = groups[binding.group]
    const boundBytes = wanted[binding.group][binding.kind] * MiB
    const until = binding.kind === 'high' ? [usageFile, boundBytes + BEYOND_HIGH_BYTES] : []
    return { bound: binding.kind, boundBytes, path, cached, ...letLoose(groups.inner, package, until) }
  } finally {
    // Its pages go with it.
    unlinkSync(file)
    groups.inner.remove()
    outer.remove()
  }
}

/**
 * Takes each case in turn, in groups of `version` whose hierarchy is mounted at `top`. The hog runs `package`; files lie
 * in `folder`.
 */
exports.measureRooms = (where) => {
  // Once outside, so that its programs are in the cache of nobody's group.
  execFileSync(process.execPath, ['-e', `require(${JSON.stringify(where.package)})`])
  return cases.filter(([name]) => where.version === 2 || name !== 'high').map((each) => measure(where, each))
}
