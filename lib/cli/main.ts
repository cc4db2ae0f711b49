import { GgufFile } from '../index.js'

console.log(typeof GgufFile)
