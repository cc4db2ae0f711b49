/**
 * Memory as it is, in a browser of the same machine.
 *
 * @module plimsoll/dashboard
 */

export type { DashboardBuffer } from './bounded.js'
export type { DashboardOptions } from './options.js'
export { Dashboard, serveDashboard } from './server.js'
export type { DashboardEvent, DashboardMoment, DashboardProcess, DashboardState } from './state.js'
