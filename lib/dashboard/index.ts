export type { DashboardOptions } from './options.js'
export { type Dashboard, serveDashboard } from './server.js'
export type { DashboardEvent, DashboardMoment, DashboardRefusal, DashboardState } from './state.js'
