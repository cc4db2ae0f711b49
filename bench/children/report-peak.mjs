import { readFileSync } from 'node:fs'

/** Prints the most memory this process ever had resident: `VmHWM` of `/proc/self/status`, see proc_pid_status(5). */
export function reportPeak() {
  const [, kibibytes] = readFileSync('/proc/self/status', 'latin1').match(/^VmHWM:\s+(\d+) kB$/m)
  console.log(JSON.stringify({ peakMiB: Number(kibibytes) / 1024 }))
}
