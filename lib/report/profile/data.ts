/** Of a label: bytes live, peak and granted, allocations live and granted, refusals. */
export type Figures = [
  liveBytes: number,
  peakBytes: number,
  grantedBytes: number,
  liveCount: number,
  count: number,
  refusedCount: number,
]

/** What the page's script draws. */
export interface PageData {
  startTimeMs: number
  durationMs: number
  eventCount: number
  droppedCount: number
  allocatedBytes: number
  peakBytes: number
  /** The labels with their figures. */
  labels: [label: string, ...figures: Figures][]
  /** How long a step of the chart is. */
  stepMs: number
  /** Where a step begins, in milliseconds; the most bytes allocated in it, and those at its end. */
  steps: [number, number, number][]
  /** Where the live allocations came from, most bytes first. */
  places: Place[]
  hiddenPlaceCount: number
}

/** Live allocations of one label from one place. */
export interface Place {
  label: string
  stack: string
  count: number
  bytes: number
  oldestMs: number
}
