import { Admission, type Grant, MemoryBudget, TokenBudget, type TokenBudgetOptions } from 'plimsoll'

/** A budget of tokens over an elastic grant of a board of that many bytes. */
export async function elastic(totalBytes: number, floorBytes: number, options: Partial<TokenBudgetOptions> = {}) {
  const admission = new Admission(new MemoryBudget({ totalBytes }))
  const grant: Grant = await admission.acquire(
    { bytes: floorBytes, label: 'kv cache' },
    { idleMs: 0, onRevoke: (request) => tokens.revoke(request) },
  )
  const tokens = new TokenBudget({ cost: 1000, grant, ...options })
  return { admission, grant, tokens }
}
