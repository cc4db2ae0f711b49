// What the programs in a guest share.

const { execFileSync } = require('node:child_process')

/** Hands a value to the machine outside. */
exports.report = (value) => console.log(`GUEST-REPORT ${JSON.stringify(value)}`)

/** Swap on compressed RAM, of `size` as a block device understands it. */
exports.swapOnZram = (size) => {
  execFileSync('sh', ['-c', `echo ${size} >/sys/block/zram0/disksize && mkswap /dev/zram0 && swapon /dev/zram0`])
}
