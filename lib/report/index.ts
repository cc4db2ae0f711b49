export { poolsPage } from './pools.js'
export { profilePage } from './profile.js'
