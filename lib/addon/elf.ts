/** The size of a 64-bit ELF header, in bytes. */
export const ELF_HEADER_BYTES = 64

const MAGIC = 0x7f454c46
const CLASS_64 = 2
const LITTLE_ENDIAN = 1

/** Machines as Node.js calls them. */
const machines: Readonly<Record<number, string>> = { 3: 'ia32', 40: 'arm', 62: 'x64', 183: 'arm64' }

/**
 * What keeps a file from being a whole ELF file for this processor, in words; `undefined` if nothing does.
 *
 * A file that was cut short must not get to the dynamic linker, which maps it: touching what is not there ends the
 * process with SIGBUS. The section headers come last in what linkers write, so a file that has them has all of it.
 * Layout: `elf(5)`, `Elf64_Ehdr`.
 *
 * @param header the first {@link ELF_HEADER_BYTES} of the file, or all there are
 * @param sizeBytes the size of the file
 */
export function elfFault(header: DataView, sizeBytes: number): string | undefined {
  if (sizeBytes === 0) return 'it is empty'
  if (header.byteLength < 4 || header.getUint32(0) !== MAGIC) return 'it is no ELF file'
  if (header.byteLength < ELF_HEADER_BYTES) return `it ends after ${sizeBytes} bytes, within its header`
  if (header.getUint8(4) !== CLASS_64 || header.getUint8(5) !== LITTLE_ENDIAN)
    return 'it is no 64-bit little-endian ELF file'
  const machine = header.getUint16(18, true)
  const name = machines[machine] ?? `ELF machine ${machine}`
  if (name !== process.arch) return `it is built for ${name}, and this Node.js for ${process.arch}`
  const endBytes = Number(header.getBigUint64(40, true)) + header.getUint16(58, true) * header.getUint16(60, true)
  if (endBytes > sizeBytes) return `it ends after ${sizeBytes} of ${endBytes} bytes`
  return undefined
}
