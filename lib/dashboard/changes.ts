/** Tells those who have seen all of an object, as events of a stream, how it goes on: the parts that are not as they were. */
export class Changes {
  #sent: Map<string, string> | undefined

  /** Has the next event say all of it: somebody has come who saw it at another time. */
  sendAll(): void {
    this.#sent = undefined
  }

  /** The event for those who have seen all before. A part that is gone is `null` there. */
  eventOf(now: object): Buffer {
    const before = this.#sent
    const parts = new Map<string, string>()
    const said: string[] = []
    for (const [name, part] of Object.entries(now)) {
      const text = JSON.stringify(part)
      if (text === undefined) continue
      parts.set(name, text)
      if (before?.get(name) !== text) said.push(`${JSON.stringify(name)}:${text}`)
    }
    for (const name of before?.keys() ?? []) if (!parts.has(name)) said.push(`${JSON.stringify(name)}:null`)
    this.#sent = parts
    return Buffer.from(`event: ${before ? 'change' : 'state'}\ndata: {${said.join(',')}}\n\n`)
  }
}
