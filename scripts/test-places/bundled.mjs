// A program that is bundled.
import { serve } from './served.mjs'

console.log(await serve())
