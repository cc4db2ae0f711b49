import { AddonUnavailableError, type AddonUnavailableReason } from '../support/errors.js'
import { foundPlatform, supportedPlatforms } from './platform.js'

/** The file that an {@link AddonUnavailableError} is about, and what lies behind it, where there are such. */
interface AddonDetails {
  path?: string
  cause?: unknown
}

/** The addon is not available, for this reason. */
export function addonUnavailable(
  reason: AddonUnavailableReason,
  message: string,
  { path, cause }: AddonDetails = {},
): AddonUnavailableError {
  const details = { reason, platform: foundPlatform(), supported: supportedPlatforms, ...(path && { path }) }
  return new AddonUnavailableError('ERR_ADDON_UNAVAILABLE', message, details, { cause })
}

/** There is no addon for what this process runs on. */
export function platformUnsupported(): AddonUnavailableError {
  const found = foundPlatform()
  const message = `expected one of the platforms ${supportedPlatforms.join(', ')}, found ${found}; ${otherPlatform(found)}`
  return addonUnavailable('unsupported-platform', message)
}

function otherPlatform(found: string): string {
  if (/-(arm|ia32)$/.test(found)) return 'install a 64-bit Node.js, on a 64-bit system'
  return 'use one of those, for example in a container'
}
