/** Waits until all have settled, whatever becomes of each, and then throws what the first of them failed with. */
export async function allSettled(work: Iterable<Promise<unknown>>): Promise<void> {
  const outcomes = await Promise.allSettled(work)
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed) throw failed.reason
}
