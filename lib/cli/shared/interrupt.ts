import { Exit, type ExitCode } from '../exit.js'

/** A signal that aborts at the first Ctrl-C. The second one ends the process as it would have without us. */
export function untilInterrupted(): AbortSignal {
  const controller = new AbortController()
  process.once('SIGINT', () => controller.abort())
  return controller.signal
}

const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** A signal that asks a process to end. */
export type EndingSignal = (typeof endingSignals)[number]

/** Calls back for a signal that asks this process to end, until it is disposed of. */
export function onEndingSignal(callback: (signal: EndingSignal) => void): Disposable {
  const listener = (signal: NodeJS.Signals) => callback(signal as EndingSignal)
  for (const signal of endingSignals) process.on(signal, listener)
  return {
    [Symbol.dispose]: () => {
      for (const signal of endingSignals) process.off(signal, listener)
    },
  }
}

/** How a view ends: with a code, or by a signal whose usual effect is still to come. */
export type Ending = ExitCode | EndingSignal

/** The code of an ending, or what its signal does: whoever sent it shall see that it was obeyed. Nothing may listen for it any more. */
export function obeyed(ending: Ending): ExitCode {
  if (typeof ending === 'number') return ending
  process.kill(process.pid, ending)
  return Exit.trouble
}

/** The code that a server ends with, once it is asked to end: what a supervisor sends is no failure. */
export const untilEnded = (): Promise<ExitCode> =>
  new Promise((resolve) => {
    const signals = onEndingSignal((signal) => {
      signals[Symbol.dispose]()
      resolve(signal === 'SIGINT' ? Exit.interrupted : Exit.fine)
    })
  })
