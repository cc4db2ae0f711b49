/**
 * What a server answers while memory is short: for Fastify, Express and `node:http`.
 *
 * @module plimsoll/http
 */

export { type ErrorAnswer, type ErrorBody, errorAnswer } from './answer.js'
export {
  fastifyMemoryPressure,
  type MemoryPressureMiddleware,
  type MemoryPressureOptions,
  memoryErrors,
  memoryPressure,
} from './middleware.js'
export { type ModelObject, modelObject, type Pressure, type PressureOptions, pressureOf } from './pressure.js'
