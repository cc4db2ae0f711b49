export { type ErrorAnswer, type ErrorBody, errorAnswer } from './answer.js'
export {
  fastifyMemoryPressure,
  type MemoryPressureMiddleware,
  type MemoryPressureOptions,
  memoryErrors,
  memoryPressure,
} from './middleware.js'
export { type ModelObject, modelObject, type Pressure, type PressureOptions, pressureOf } from './pressure.js'
