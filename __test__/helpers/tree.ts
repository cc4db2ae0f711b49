import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The folder with a copy of a machine's files, by their paths below it. */
export function writeTree(folder: string, files: Readonly<Record<string, string>>): string {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  return folder
}

/** A Jetson Orin Nano with swap on compressed RAM, as its developer kit's system has it. */
export const jetson = {
  'proc/device-tree/compatible': 'nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234\0',
  'proc/device-tree/model': 'NVIDIA Jetson Orin Nano Developer Kit\0',
  'proc/meminfo':
    'MemTotal: 7802880 kB\nMemFree: 3000000 kB\nMemAvailable: 6000000 kB\nCmaTotal: 262144 kB\nCmaFree: 200000 kB\n' +
    'SwapTotal: 3901440 kB\nSwapFree: 3000000 kB\nShmem: 1000 kB\nNvMapMemUsed: 900000 kB\n',
  'proc/sys/kernel/osrelease': '5.15.148-tegra\n',
  'proc/self/cgroup': '0::/a/b\n',
  'proc/self/mountinfo': '33 32 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n',
  'proc/self/status':
    'Name:\tcp\nVmHWM:\t300 kB\nVmRSS:\t200 kB\nRssAnon:\t120 kB\nRssFile:\t70 kB\nRssShmem:\t10 kB\n',
  'proc/swaps': 'Filename\tType\tSize\tUsed\tPriority\n/dev/zram0 partition 3901440 901440 100\n',
  'proc/vmstat': 'nr_free_pages 1\noom_kill 4\n',
  'proc/buddyinfo':
    'Node 0, zone   Normal    216     55    189    101     84     38     37     27      5      0      0\n',
  'proc/pressure/memory':
    'some avg10=1.50 avg60=0.00 avg300=0.00 total=7\nfull avg10=0.50 avg60=0.00 avg300=0.00 total=5\n',
  'etc/nv_tegra_release': '# R36 (release), REVISION: 4.7, GCID: 42132812, BOARD: generic, EABI: aarch64\n',
  'sys/block/zram0/mm_stat': '367001600 285212672 289406976 0 289406976 12 0 0\n',
  'sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages': '8\n',
  'sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages': '3\n',
  'sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages': '1\n',
  'sys/kernel/mm/transparent_hugepage/enabled': 'always [madvise] never\n',
  'sys/kernel/debug/nvmap/iovmm/clients':
    'CLIENT                        PROCESS      PID        SIZE\nuser  ollama serve  4242  900000K\ntotal  900000K\n',
  'sys/kernel/debug/rknpu/version': 'RKNPU driver: v0.9.8\n',
  'sys/kernel/debug/rknpu/load': 'NPU load:  Core0: 12%, Core1:  0%, Core2: 100%,\n',
  'sys/fs/cgroup/a/memory.max': '1073741824\n',
  'sys/fs/cgroup/a/memory.high': 'max\n',
  'sys/fs/cgroup/a/memory.current': '524288000\n',
  'sys/fs/cgroup/a/memory.stat': 'anon 1\ninactive_file 104857600\n',
  'sys/fs/cgroup/a/memory.events': 'low 0\noom_kill 2\n',
  'sys/fs/cgroup/a/b/memory.max': '536870912\n',
  'sys/fs/cgroup/a/b/memory.high': 'max\n',
  'sys/fs/cgroup/a/b/memory.current': '524288000\n',
  'sys/fs/cgroup/a/b/memory.stat': 'anon 1\ninactive_file 52428800\n',
  'sys/fs/cgroup/a/b/memory.events': 'low 0\noom_kill 0\n',
} as const
