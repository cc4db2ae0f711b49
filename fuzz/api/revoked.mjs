/** Proxies that were revoked, which fail at every touch: whatever reads before it checks is found. */

import { isProxy } from 'node:util/types'
import { revoked } from './hostile.mjs'

/** No call takes more. */
const MOST_ARGUMENTS = 4

/** Calls a member with one in the place of each argument in turn, then of each member of an argument. */
export function callWithRevoked(engine, member) {
  for (let place = 0; place < MOST_ARGUMENTS; place++) {
    let keys = []
    engine.call(member, (args) => {
      if (isPlain(args[place])) keys = Object.keys(args[place])
      args[place] = revoked()
    })
    for (const key of keys) {
      engine.call(member, (args) => {
        const others = isPlain(args[place]) ? Object.getOwnPropertyDescriptors(args[place]) : {}
        args[place] = Object.defineProperties({}, { ...others, [key]: { value: revoked(), enumerable: true } })
      })
    }
  }
}

/** Whether it is an object of options, whose keys can be looked at. */
function isPlain(value) {
  return (
    typeof value === 'object' && value !== null && !isProxy(value) && Object.getPrototypeOf(value) === Object.prototype
  )
}
