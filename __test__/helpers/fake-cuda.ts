import { execFileSync } from 'node:child_process'
import { root } from './child'

/**
 * A `libcuda.so.1` without a GPU, for the platform under test. `npm run test:arm64` has built it with the Rust tests and says
 * where it lies; elsewhere cargo builds it, or finds it built.
 */
export const fakeCuda: string = process.env.PLIMSOLL_FAKE_CUDA ?? built()

/** The environment of a process whose driver it is, with a device like that: `{ orin: 1, init_code: 34 }`. */
export const withFakeCuda = (device: Record<string, number> = {}): Record<string, string> => ({
  PLIMSOLL_CUDA_LIBRARY: fakeCuda,
  FAKE_CUDA: Object.entries(device)
    .map(([key, value]) => `${key}=${value}`)
    .join(','),
})

function built(): string {
  const args = ['build', '--quiet', '--package', 'fake-libcuda', '--message-format=json']
  const messages = execFileSync('cargo', args, { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 })
  const files = messages
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .flatMap((line): string[] => JSON.parse(line).filenames ?? [])
  const library = files.find((file) => file.endsWith('libfake_libcuda.so'))
  if (!library) throw new Error(`expected cargo to build libfake_libcuda.so, got ${files.join(', ')}`)
  return library
}
