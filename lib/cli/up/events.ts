/** What an instance does at the moment. */
export type State =
  | 'stopped'
  | 'waiting'
  | 'starting'
  | 'ready'
  | 'stopping'
  | 'delayed' // It has failed, and is started again after a while.
  | 'ended'
  | 'failed'

/** What has happened to an instance. */
export type Happening =
  | 'listening'
  | 'waiting'
  | 'starting'
  | 'ready'
  | 'stopping'
  | 'stopped'
  | 'ended'
  | 'restarting'
  | 'failed'

/** Something that has happened, with its figures. */
export interface InstanceEvent {
  instance: string
  event: Happening
  /** The same in words. */
  message: string
  pid?: number
  /** With what a process has ended. */
  exitCode?: number
  /** How long it was in coming, or will be. */
  ms?: number
}
