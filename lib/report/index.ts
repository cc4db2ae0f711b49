/**
 * Pages of pools and profiles, each a file of its own.
 *
 * @module plimsoll/report
 */

export { poolsPage } from './pools.js'
export { profilePage } from './profile.js'
