import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { IoError, MemoryBudget, MemoryProfile } from 'plimsoll'
import { root, runChild, runNode } from './helpers/child'
import { rejectedBy } from './helpers/rejected-by'

const isRoot = process.getuid?.() === 0
const asRoot = isRoot ? test : test.skip

const budget = new MemoryBudget({ totalBytes: 1000 })
const profile = new MemoryProfile(budget).start()
profile.stop()
const save = (path: string) => profile.save(path, 'json')

let folder = ''
const at = (name: string) => join(folder, name)
const mode = (path: string) => statSync(path).mode & 0o7777
const isProfile = (text: string) => expect(JSON.parse(text)).toHaveProperty('eventCount')

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plimsoll-'))
  chmodSync(folder, 0o755)
})
afterEach(() => {
  // Nothing is ever left beside what was written.
  expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
  rmSync(folder, { recursive: true })
})

test('a new file has the mode that the process gives its files', async () => {
  const before = process.umask(0o027)
  try {
    await save(at('new.json'))
  } finally {
    process.umask(before)
  }
  expect(mode(at('new.json'))).toBe(0o640)
  isProfile(readFileSync(at('new.json'), 'utf8'))
})

test.each([0o600, 0o644, 0o666, 0o640, 0o2755])('a file of mode %o keeps it, and is another file', async (bits) => {
  writeFileSync(at('a.json'), 'old')
  chmodSync(at('a.json'), bits)
  const { ino } = statSync(at('a.json'))
  await save(at('a.json'))
  expect(mode(at('a.json'))).toBe(bits)
  expect(statSync(at('a.json')).ino).not.toBe(ino)
  isProfile(readFileSync(at('a.json'), 'utf8'))
})

test('a name as long as a name can be is no trouble', async () => {
  const name = at(`${'n'.repeat(250)}.json`)
  await save(name)
  await save(name)
  isProfile(readFileSync(name, 'utf8'))
})

asRoot('a file of another owner stays theirs', async () => {
  writeFileSync(at('theirs.json'), 'old')
  chownSync(at('theirs.json'), 1234, 4321)
  chmodSync(at('theirs.json'), 0o600)
  await save(at('theirs.json'))
  const { uid, gid } = statSync(at('theirs.json'))
  expect([uid, gid, mode(at('theirs.json'))]).toEqual([1234, 4321, 0o600])
})

/** What saving to a path gives in a process without rights, with the files of the test under another user. */
function saveAsNobody(path: string): string {
  const { value } = runChild<string>(
    `process.setgroups([]); process.setgid(65534); process.setuid(65534)
    const profile = new plimsoll.MemoryProfile(new MemoryBudget({ totalBytes: 1000 })).start()
    return profile.save(${JSON.stringify(path)}, 'json').then(() => 'saved', (error) => error.code + ' ' + error.errno)`,
  )
  return value
}

const { EACCES, ENOENT, ENOSPC, EISDIR } = { EACCES: 13, ENOENT: 2, ENOSPC: 28, EISDIR: 21 }

asRoot('without the right to keep the owner, a file that may be written is written in place', () => {
  chmodSync(folder, 0o777)
  writeFileSync(at('open.json'), 'old'.repeat(10_000))
  chmodSync(at('open.json'), 0o666)
  const { ino } = statSync(at('open.json'))
  expect(saveAsNobody(at('open.json'))).toBe('saved')
  const { uid, ino: now } = statSync(at('open.json'))
  expect([uid, now, mode(at('open.json'))]).toEqual([0, ino, 0o666])
  isProfile(readFileSync(at('open.json'), 'utf8'))
})

asRoot('a file in a folder that takes no other is written in place; a new one is refused', () => {
  writeFileSync(at('open.json'), 'old')
  chmodSync(at('open.json'), 0o666)
  expect(saveAsNobody(at('open.json'))).toBe('saved')
  isProfile(readFileSync(at('open.json'), 'utf8'))
  expect(saveAsNobody(at('new.json'))).toBe(`ERR_IO ${EACCES}`)
  expect(existsSync(at('new.json'))).toBe(false)
})

asRoot('a file that may not be written stays as it is, even where it could be replaced', () => {
  chmodSync(folder, 0o777)
  writeFileSync(at('kept.json'), 'old')
  chmodSync(at('kept.json'), 0o644)
  expect(saveAsNobody(at('kept.json'))).toBe(`ERR_IO ${EACCES}`)
  expect(readFileSync(at('kept.json'), 'utf8')).toBe('old')
})

test('a file with two names stays one file', async () => {
  writeFileSync(at('one.json'), 'old')
  linkSync(at('one.json'), at('two.json'))
  await save(at('one.json'))
  expect(statSync(at('one.json')).ino).toBe(statSync(at('two.json')).ino)
  isProfile(readFileSync(at('two.json'), 'utf8'))
})

describe('symbolic links', () => {
  test('are followed to their file, which keeps its mode', async () => {
    mkdirSync(at('there'))
    writeFileSync(at('there/file.json'), 'old')
    chmodSync(at('there/file.json'), 0o600)
    symlinkSync('there', at('folder'))
    symlinkSync('folder/../there/file.json', at('link.json'))
    await save(at('link.json'))
    expect(lstatSync(at('link.json')).isSymbolicLink()).toBe(true)
    expect(mode(at('there/file.json'))).toBe(0o600)
    isProfile(readFileSync(at('there/file.json'), 'utf8'))
  })

  test('that lead to nothing yet make the file they name', async () => {
    mkdirSync(at('deep'))
    mkdirSync(at('deep/there'))
    symlinkSync('deep/there', at('folder'))
    // By way of the linked folder, `..` is `deep`.
    symlinkSync('../made.json', at('deep/there/second.json'))
    symlinkSync('folder/second.json', at('first.json'))
    await save(at('first.json'))
    expect(lstatSync(at('first.json')).isSymbolicLink()).toBe(true)
    isProfile(readFileSync(at('deep/made.json'), 'utf8'))
  })

  test('into a folder that is not there, or in a ring, are refused', async () => {
    symlinkSync('nowhere/file.json', at('dangling.json'))
    expect((await rejectedBy(IoError, save(at('dangling.json')))).errno).toBe(ENOENT)
    symlinkSync('ring.json', at('ring.json'))
    expect((await rejectedBy(IoError, save(at('ring.json')))).errno).toBe(40)
    expect(readdirSync(folder).sort()).toEqual(['dangling.json', 'ring.json'])
  })
})

/** A device node of the test's own, so that those of the machine are safe; only where nodes can be made and opened. */
function node(minor: number): string {
  execFileSync('mknod', [at('node'), 'c', '1', String(minor)], { stdio: 'pipe' })
  return at('node')
}

const withNodes = canMakeNodes() ? test : test.skip

function canMakeNodes(): boolean {
  folder = mkdtempSync(join(tmpdir(), 'plimsoll-'))
  try {
    closeSync(openSync(node(3), 'w'))
    return true
  } catch {
    return false
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe('what is no regular file', () => {
  withNodes('a device is written through and stays one', async () => {
    const path = node(3)
    await save(path)
    expect(lstatSync(path).isCharacterDevice()).toBe(true)
  })

  withNodes('a device that is full says so, and stays one', async () => {
    const path = node(7)
    const error = await rejectedBy(IoError, save(path))
    expect(error).toMatchObject({ path, errno: ENOSPC })
    expect(error.message).toContain('make room')
    expect(lstatSync(path).isCharacterDevice()).toBe(true)
  })

  test('a pipe is written through as soon as somebody reads it', async () => {
    execFileSync('mkfifo', [at('pipe')])
    const saved = save(at('pipe'))
    await new Promise((resolve) => setTimeout(resolve, 30))
    const [text] = await Promise.all([readFile(at('pipe'), 'utf8'), saved])
    expect(lstatSync(at('pipe')).isFIFO()).toBe(true)
    isProfile(text)
  })

  test('the output of the process is that, and no file', () => {
    const path = at('out.json')
    const out = openSync(path, 'w')
    const { ino } = statSync(path)
    symlinkSync('/proc/self/fd/1', at('stdout')) // As /dev/stdout is, which a failure would take from the machine.
    const script = `
      const { MemoryBudget, MemoryProfile } = require(${JSON.stringify(join(root, 'dist/index.js'))})
      new MemoryProfile(new MemoryBudget({ totalBytes: 1 })).save(${JSON.stringify(at('stdout'))}, 'json')`
    spawnSync(process.execPath, ['-e', script], { stdio: ['ignore', out, 'inherit'] })
    closeSync(out)
    expect(statSync(path).ino).toBe(ino)
    isProfile(readFileSync(path, 'utf8'))
  })

  test('a folder is refused', async () => {
    mkdirSync(at('folder'))
    const error = await rejectedBy(IoError, save(at('folder')))
    expect(error.errno).toBe(EISDIR)
    expect(error.message).toContain('name a file in it')
    expect(readdirSync(at('folder'))).toEqual([])
  })
})

test('the page of pools is written in the same way', () => {
  writeFileSync(at('trace'), '{"plimsollTrace":1,"device":"host","label":"p","settings":{"slabBytes":1048576}}\n')
  const html = (path: string) => runNode(['dist/cli.js', 'pools', at('trace'), '--html', path])
  expect(html(at('page.html')).status).toBe(0)
  chmodSync(at('page.html'), 0o600)
  symlinkSync('page.html', at('link.html'))
  expect(html(at('link.html')).status).toBe(0)
  expect([mode(at('page.html')), lstatSync(at('link.html')).isSymbolicLink()]).toEqual([0o600, true])
})

withNodes('the page of pools leaves a device what it is', () => {
  writeFileSync(at('trace'), '{"plimsollTrace":1,"device":"host","label":"p","settings":{"slabBytes":1048576}}\n')
  const { status, stderr } = runNode(['dist/cli.js', 'pools', at('trace'), '--html', node(7)])
  expect([status, lstatSync(at('node')).isCharacterDevice()]).toEqual([4, true])
  expect(stderr).toContain('no space left')
})
