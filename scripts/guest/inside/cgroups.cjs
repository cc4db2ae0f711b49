// What nested memory cgroups of version 2 have room for.

const { writeFileSync } = require('node:fs')
const { measureRooms } = require('./room.cjs')
const { report } = require('./system.cjs')

const top = '/sys/fs/cgroup'

writeFileSync(`${top}/cgroup.subtree_control`, '+memory')
report(measureRooms({ version: 2, top, package: '/plimsoll', folder: '/plimsoll' }))
