// Memory cgroups of both versions, to be set up as root.

const { mkdirSync, rmdirSync, writeFileSync } = require('node:fs')
const { spawnSync } = require('node:child_process')
const { join } = require('node:path')

const files = {
  1: { limit: 'memory.limit_in_bytes', usage: 'memory.usage_in_bytes' },
  2: { limit: 'memory.max', high: 'memory.high', usage: 'memory.current' },
}

/** A memory cgroup below `top`, the folder in which a hierarchy of `version` is mounted. */
exports.Group = class Group {
  constructor(version, top, path) {
    Object.assign(this, { version, path, top, folder: join(top, path), files: files[version] })
    mkdirSync(this.folder)
  }

  /** A group in this one. In version 2 a group has to hand its controllers on. */
  nest(name) {
    if (this.version === 2) writeFileSync(join(this.folder, 'cgroup.subtree_control'), '+memory')
    return new Group(this.version, this.top, `${this.path}/${name}`)
  }

  /** Sets `limit` or `high`, in bytes. */
  bound(kind, bytes) {
    writeFileSync(join(this.folder, this.files[kind]), `${bytes}`)
  }

  get usageFile() {
    return join(this.folder, this.files.usage)
  }

  /** Runs a command in the group. */
  run(...command) {
    const enter = ['-c', 'echo $$ >"$0/cgroup.procs" && exec "$@"', this.folder, ...command]
    return spawnSync('sh', enter, { encoding: 'utf8', maxBuffer: 16 << 20 })
  }

  remove() {
    rmdirSync(this.folder)
  }
}
