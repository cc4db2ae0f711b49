// Whom the kernel kills when memory runs out: a hog of device memory, which has next to nothing resident, or an innocent server
// beside it. In a guest with a dma-heap, with both started plainly and with both under `plimsoll run`.
//
//     npm run test:hog [-- ROUNDS]

import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runPc } from './guest/pc.mjs'
import { packageFiles, testPrograms } from './guest/programs.mjs'

const rounds = Number(process.argv[2] ?? 20)
const inside = ['hog.mjs', 'innocent.mjs'].map((name) => [
  `/app/${name}`,
  fileURLToPath(new URL(join('guest', name), import.meta.url)),
])
const text = await runPc({
  name: 'hog',
  memoryMiB: 2048,
  files: Object.fromEntries([...packageFiles, ...testPrograms(['guest']), ...inside]),
  steps: [{ title: `hog and innocent, ${rounds} rounds`, command: ['node', '/app/hog.mjs', `${rounds}`] }],
})

const all = [...text.matchAll(/^ROUND (.*)$/gm)].map(([, json]) => JSON.parse(json))
const median = (numbers) => numbers.sort((a, b) => a - b)[numbers.length >> 1]
console.log(
  '\n| started | the kernel killed the hog first | the innocent server first | RSS, MiB | oom_score of both | the server still answers |',
)
console.log('| --- | --- | --- | --- | --- | --- |')
for (const isUnderRun of [false, true]) {
  const these = all.filter((round) => round.isUnderRun === isUnderRun)
  const times = (who) => `${these.filter(({ victims }) => victims[0] === who).length} of ${these.length}`
  const both = (what) => ['hog', 'innocent'].map((who) => median(these.map((round) => round[who][what]))).join(', ')
  const cells = [times('hog'), times('innocent'), both('rssMiB'), both('score')]
  const alive = these.filter(({ innocentAnswers }) => innocentAnswers).length
  console.log(`| ${[isUnderRun ? '`plimsoll run`' : 'plainly', ...cells, `${alive} of ${these.length}`].join(' | ')} |`)
}
const isRight = ({ isUnderRun, victims, hogEnded }) =>
  isUnderRun ? victims[0] === 'hog' && hogEnded === 137 : victims[0] === 'innocent'
process.exitCode = all.length === 2 * rounds && all.every(isRight) ? 0 : 1
