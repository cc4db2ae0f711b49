import { pageFor, printDocumentLine, printLines } from '../terminal/output.js'
import { Screen } from '../terminal/screen.js'
import { clip, visible } from '../terminal/text.js'
import type { InstanceEvent } from './events.js'
import type { Instance } from './instance.js'
import { frame } from './page.js'
import type { Observer } from './supervisor.js'

/** What is shown while a plan runs. */
export interface Output extends Disposable, Observer {}

/** What the page of a terminal is made of. */
export interface Shown {
  readonly name: string
  readonly instances: readonly Instance[]
  readonly isStopping: boolean
}

const nothing = () => {}

/** What instances write, each line with its name before it. */
const toStderr = (id: string, line: string): void => {
  process.stderr.write(`${id} | ${visible(line)}\n`)
}

/** A document for each event, on a line. */
export const documents = (): Output => ({
  event: (event) => printDocumentLine(documentOf(event)),
  output: toStderr,
  changed: nothing,
  [Symbol.dispose]: nothing,
})

/** A line for each event. */
export const lines = (): Output => ({
  event: (event) => printLines([`${new Date().toISOString()}  ${wordsOf(event)}`]),
  output: toStderr,
  changed: nothing,
  [Symbol.dispose]: nothing,
})

/** Lines that are kept of what was said: more than any terminal has rows. */
const KEPT = 200

const CTRL_C = '\x03'

/** A live table, and below it what was said last. */
export function terminal(shown: () => Shown, end: () => void): Output {
  const said: string[] = []
  const onKey = (key: string) => {
    if (['q', 'Q', CTRL_C].includes(key)) end()
  }
  const draw = () => {
    const { name, instances, isStopping } = shown()
    const page = pageFor(process.stdout)
    const room = Math.max((process.stdout.rows || 24) - instances.length - 4, 0)
    const last = room === 0 ? [] : said.slice(-room).map((line) => clip(line, page.width))
    screen.draw(frame(page, name, instances, isStopping, last))
  }
  let isDrawn = false
  // However much there is to say, no more than so many times a second.
  const soon = () => {
    if (isDrawn) return
    isDrawn = true
    setTimeout(() => {
      isDrawn = false
      if (!isOver) draw()
    }, 50).unref()
  }
  let isOver = false
  const say = (line: string) => {
    said.push(line)
    if (said.length > KEPT) said.shift()
    soon()
  }
  // Others depend on what it runs: a key does not stop it.
  const screen = new Screen(onKey, draw, false)
  const timer = setInterval(soon, 1000)
  process.stdout.on('resize', soon)
  return {
    event: (event) => say(`${new Date().toLocaleTimeString('en-GB')}  ${wordsOf(event)}`),
    output: (id, line) => say(`${id} | ${visible(line)}`),
    changed: soon,
    [Symbol.dispose]: () => {
      isOver = true
      clearInterval(timer)
      process.stdout.off('resize', soon)
      screen[Symbol.dispose]()
    },
  }
}

const wordsOf = ({ instance, message }: InstanceEvent): string => visible(`${instance} ${message}`)

const documentOf = ({ instance, event, message, pid, exitCode, ms }: InstanceEvent): object => ({
  timeMs: Date.now(),
  instance,
  event,
  message,
  pid: pid ?? null,
  exitCode: exitCode ?? null,
  ms: ms ?? null,
})
