/** Bytes that tell where they are. */
export const pattern = (length: number, seed = 0): Uint8Array =>
  Uint8Array.from({ length }, (_, at) => (at * 31 + seed) % 251)
