import { closeSync, copyFileSync, readFileSync, readlinkSync, truncateSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { mutated, smallModel } from './models.mjs'

/** The files of a run: models that stay as they are, one that changes under its readers, and what is written. */
export class Files {
  #random
  #folder
  #tensors = []
  #expected = new Map()
  #changing
  #library
  #closed = new WeakSet()
  /** As many bytes as the largest tensor has in any form. */
  largestBytes = 0

  /**
   * @param {string} folder of this run alone
   * @param {string[]} models files that stay as they are
   * @param {string | undefined} library a driver for CUDA without a GPU
   */
  constructor({ random, folder, models, library }) {
    this.#random = random
    this.#folder = folder
    this.#library = library
    /** Files that stay as they are. */
    this.models = models
    this.#changing = join(folder, 'changing.gguf')
    copyFileSync(models[1], this.#changing)
  }

  /** Reads what the tensors hold, by the package itself before anything is tried with it. */
  async learn({ GgufFile }) {
    for (const path of this.models) {
      const model = GgufFile.open(path)
      const tensors = model.tensors.slice(0, 40)
      this.#tensors.push(...tensors)
      for (const { name } of tensors) {
        for (const as of ['raw', 'f32', 'f16', 'bf16']) {
          const data = await model.load(name, { as }).catch(() => undefined)
          if (!data) continue
          this.#expected.set(`${path} ${name} ${as}`, Buffer.from(data.buffer, data.byteOffset, data.byteLength))
          this.largestBytes = Math.max(this.largestBytes, data.byteLength)
        }
      }
      model.close()
    }
  }

  /** The bytes of a tensor in a form; `undefined` where they are not known. */
  expected(model, tensor, as) {
    return this.#expected.get(`${model.path} ${tensor} ${as}`)
  }

  path() {
    const random = this.#random
    if (random.chance(0.1))
      return random.pick(['/nowhere', this.#folder, '/dev/null', '/dev/full', '/proc/self/mem', `${this.#folder}/fifo`])
    const path = random.chance(0.15) ? this.#changing : random.pick(this.models)
    return random.chance(0.1) ? pathToFileURL(path) : path
  }

  bytes() {
    const whole = smallModel(this.#random, this.#random.between(0, 6))
    return this.#random.chance(0.6) ? mutated(this.#random, whole) : whole
  }

  tensorName() {
    return this.#random.chance(0.05) ? 'none' : this.tensor().name
  }

  /** What a file told of one of its tensors. */
  tensor() {
    return this.#random.pick(this.#tensors)
  }

  output(ending) {
    return join(this.#random.chance(0.05) ? '/nowhere' : this.#folder, `output${ending}`)
  }

  library() {
    const random = this.#random
    if (this.#library && random.chance(0.8)) return this.#library
    return random.pick(['/nowhere', '', this.#folder, this.#changing, '/dev/null', `${this.#folder}/fifo`, 'libc.so.6'])
  }

  /** Changes the model that changes. */
  change() {
    const random = this.#random
    const small = this.models[1]
    if (random.chance(0.3)) truncateSync(this.#changing, random.below(readFileSync(small).length))
    else if (random.chance(0.5)) copyFileSync(small, this.#changing)
    else utimesSync(this.#changing, new Date(), new Date())
  }

  /** Closes what was exported, once: by the next time that the figure is told, it may be a descriptor of somebody else's. */
  closeExported(exported) {
    if (this.#closed.has(exported)) return
    this.#closed.add(exported)
    try {
      if (/^\/(memfd:|dmabuf)/.test(readlinkSync(`/proc/self/fd/${exported.fd}`))) closeSync(exported.fd)
    } catch {
      // None is open by that figure.
    }
  }
}
