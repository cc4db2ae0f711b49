const steps = [...' ▁▂▃▄▅▆▇█']

/** Shares from 0 to 1 over time, the latest at the right, one in each cell; the latest ones where there are more than cells. */
export const sparkline = (shares: readonly number[], cells: number): string =>
  shares
    .slice(-cells)
    .map((share) => steps[Math.ceil(Math.min(Math.max(share, 0), 1) * (steps.length - 1))] as string)
    .join('')
    .padStart(cells)
