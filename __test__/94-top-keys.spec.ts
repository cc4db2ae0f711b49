import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { MemoryManager, MiB } from 'plimsoll'
import { root } from './helpers/child'

const tmux = (...args: string[]) =>
  spawnSync('tmux', ['-L', `plimsoll-${process.pid}`, '-f', '/dev/null', ...args], { cwd: root, encoding: 'utf8' })

const hasTmux = spawnSync('tmux', ['-V']).status === 0
if (!hasTmux) console.warn('scripts/tmux.sh installs tmux: without it the keys of top are not tested')
// In a run that decides, nothing is left out.
const inTmux = hasTmux || process.env.CI ? describe : describe.skip

/** The process whose command line ends so. */
function pidOf(words: string): number {
  const ends = `${words.replaceAll(' ', '\0')}\0`
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return Number(
    pids.find((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').endsWith(ends)
      } catch {
        // It has ended meanwhile.
        return false
      }
    }),
  )
}

inTmux('top in a terminal of tmux', () => {
  const directory = mkdtempSync(`/dev/shm/plimsoll-${'long-'.repeat(12)}`)
  let manager: MemoryManager

  beforeAll(() => {
    manager = new MemoryManager({ shared: { directory, processName: 'a sharing server' } } as never)
    manager.budget.allocate(3 * MiB, 'weights').hold()
    manager.budget.allocate(512 * MiB, 'kv cache').hold()
    const view = `"${process.execPath}" dist/cli.js top --interval 50ms --directory ${directory}`
    expect(tmux('new-session', '-d', '-x', '320', '-y', '60', view).stderr).toBe('')
  })
  afterAll(async () => {
    tmux('kill-server')
    await manager.close()
    rmSync(directory, { recursive: true })
  })

  /** What the terminal shows, once it is as it has to be. */
  async function screen(isSo: (text: string) => boolean): Promise<string> {
    for (;;) {
      const text = tmux('capture-pane', '-p').stdout
      if (isSo(text)) return text
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  const type = (...keys: string[]) => tmux('send-keys', ...keys)

  test('it has the history of headroom, and who shares the ledger with what it holds', async () => {
    const text = await screen((shown) => /history +\S{5,} {2}headroom of the last/.test(shown))
    expect(text).toMatch(/^ {2}history +[▁▂▃▄▅▆▇█]+ {2}headroom of the last [\d.]+ s, .* at least/m)
    expect(text).toContain(`Ledger  ${join(directory, '')}`.slice(0, 20))
    expect(text).toMatch(new RegExp(`515\\.00 MiB .* ${process.pid} .* a sharing server`))
    // What comes off the least room, so that the figures add up.
    expect(text).toMatch(/^ {2}pending +\d.* granted and not yet taken, off headroom$/m)
  })

  test('s goes on to the next column, a shows all processes', async () => {
    await screen((shown) => shown.includes('by resident;'))
    type('s')
    await screen((shown) => shown.includes('by anonymous;'))
    type('a')
    await screen((shown) => shown.includes('Processes  all,'))
    type('a')
    await screen((shown) => shown.includes('that have plimsoll loaded'))
  })

  test('/ keeps what has the words that are typed, q among them, and Escape takes it back', async () => {
    type('/', ...'CLI.JS', 'Space', ...'TOP', 'q', 'BSpace', 'Enter')
    const rows = (shown: string) => shown.slice(shown.indexOf('Processes')).trim().split('\n').slice(2)
    // The view before still has all the processes.
    const isFound = (shown: string) => shown.includes('with "CLI.JS TOP"; that') && rows(shown).length === 1
    expect(rows(await screen(isFound))[0]).toContain('dist/cli.js top')
    type('/', 'Escape')
    await screen((shown) => !shown.includes('with "'))
  })

  test('the filter holds any character, and keys without one leave it as it is', async () => {
    type('/', 'ü', '日', '😀', 'BSpace', 'Left', 'F5', 'Up', 'Home', 'x')
    await screen((shown) => shown.includes('with "ü日x_"'))
    type('BSpace', 'BSpace', 'BSpace', 'Enter')
    await screen((shown) => !shown.includes('with "'))
  })

  test.each([
    [100, 'with "CLI.JS"; that have plimsoll loaded, by anonymous; s sorts, a shows all, / filters'],
    [60, 'with "CLI.JS"; by anonymous; s sorts, a shows al…'],
  ])('no line is written over its end in %i columns, and the filter stays visible', async (width, note) => {
    type('/', ...'CLI.JS', 'Enter')
    tmux('resize-window', '-x', String(width), '-y', '60')
    const text = await screen((shown) => shown.includes(`Processes  ${note}`))
    const rows = text.split('\n')
    expect(rows.find((row) => row.startsWith('Ledger'))).toBe(
      `${`Ledger  ${join(directory, 'board.ledger')}`.slice(0, width - 1)}…`,
    )
    // Of a table that is wider than that the ends are cut.
    const titles = rows.find((row) => row.includes('HELD'))
    expect(titles).toMatch(width > 90 ? / NAME +STATE$/ : /^ +HELD +NOT TAKEN .*…$/)
    type('/', 'Escape')
  })

  test('Ctrl-Z leaves the terminal as it was, and fg goes on where it was', async () => {
    // By its count it is told from the views of other tests.
    const options = `top --interval 50ms --count ${1_000_000 + process.pid}`
    const view = `"${process.execPath}" dist/cli.js ${options}`
    expect(tmux('new-window', '-n', 'shell', "PS1='ready> ' exec bash --norc --noprofile -i").stderr).toBe('')
    await screen((shown) => shown.includes('ready>'))
    for (const round of [1, 2]) {
      type(round === 1 ? view : 'fg', 'Enter')
      await screen((shown) => shown.startsWith('plimsoll top'))
      // It is stopped by its key, and by a signal.
      if (round === 1) type('C-z')
      else process.kill(pidOf(options), 'SIGTSTP')
      await screen((shown) => shown.split('Stopped').length - 1 === round)
      type('stty -a | tr " " "\\n" | grep -c -x -e icanon -e echo', 'Enter')
      await screen((shown) => /^2$/m.test(shown.slice(shown.lastIndexOf('grep'))))
      expect(tmux('display-message', '-p', '#{alternate_on} #{cursor_flag} #{wrap_flag}').stdout).toBe('0 1 1\n')
    }
    type('fg', 'Enter')
    await screen((shown) => shown.startsWith('plimsoll top'))
    type('s')
    await screen((shown) => shown.includes('by anonymous;'))
    type('q')
    await screen((shown) => shown.includes('ready>'))
    tmux('kill-window')
  })

  test('q ends it', async () => {
    type('q')
    await screen((shown) => shown === '')
  })
})
