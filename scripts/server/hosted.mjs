import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { part, pause, SAMPLE } from './tools.mjs'

/** A HostedModel on a node-llama-cpp that is none, so that it can be made to fail. */
export async function hostedOn({ clearHistory = async () => {}, evaluate, loaded = Promise.resolve() }) {
  const { HostedModel } = await part('hosted-model')
  const { MemoryManager } = await import(pathToFileURL(createRequire(import.meta.url).resolve('../..')))
  const manager = new MemoryManager({ isolated: true, maxBytes: 2 ** 30 })
  const onDispose = () => {
    const listeners = []
    return { createListener: (listener) => listeners.push(listener), run: () => listeners.map((each) => each()) }
  }
  const counts = { sequences: 0, disposed: 0 }
  const sequence = () => ({
    id: ++counts.sequences,
    nextTokenIndex: 0,
    clearHistory,
    evaluate,
    dispose: async () => {},
  })
  const disposing = () => {
    const relay = onDispose()
    const dispose = async () => {
      counts.disposed += 1
      await pause(20)
      relay.run()
    }
    return { onDispose: relay, dispose }
  }
  const createContext = async () => ({ ...disposing(), contextSize: 256, getSequence: sequence })
  const detokenize = (tokens) => String.fromCharCode(...tokens)
  const tokenize = (text) => [...text].map((letter) => letter.charCodeAt(0))
  const tokens = { bos: null, shouldPrependBosToken: false }
  const loadModel = async () => {
    await loaded
    return { ...disposing(), gpuLayers: 0, useMmap: false, createContext, detokenize, tokenize, tokens }
  }
  const options = { parallel: 2, maxContext: 256, maxWaiting: 1, timeoutMs: 1000 }
  const host = new HostedModel('fake', SAMPLE, { gpu: false, loadModel }, manager, options)
  return { host, manager, counts }
}
