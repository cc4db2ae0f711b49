import { Document, isAlias, isMap, isScalar } from 'yaml'
import { GiB, MiB } from '../addon/units.js'
import type { PlanSource } from './source.js'
import type { Exact, Plan } from './types.js'

/** A key of an instance that is changed. */
export interface PlanChange {
  id: string
  key: string
  from: string | number | undefined
  to: string | number | undefined
}

/** What is changed in a plan. */
interface Changed {
  order: readonly string[] | undefined
  changes: readonly PlanChange[]
}

/** The text of a plan with what is changed in it; comments and all else stay as they are. */
export function writePlan(
  { source, plan }: { source: PlanSource | undefined; plan: Exact<Plan> },
  { order, changes }: Changed,
): string {
  if (source && order === undefined && changes.length === 0) return source.text
  const document = source ? source.document.clone() : new Document(plainOf(plan))
  for (const { id, key, to } of changes) {
    ownMap(document, ['instances'])
    ownMap(document, ['instances', id])
    const keys = ['instances', id, key]
    if (to === undefined) document.deleteIn(keys)
    else document.setIn(keys, key.endsWith('Bytes') ? sizeText(to as number) : to)
  }
  const instances: unknown = document.get('instances')
  if (order && isMap(instances)) {
    const place = (key: unknown) => order.indexOf(String(isScalar(key) ? key.value : key))
    instances.items.sort((one, other) => place(one.key) - place(other.key))
  }
  return source?.isJson ? `${JSON.stringify(document.toJS(), null, 2)}\n` : document.toString({ lineWidth: 0 })
}

/** Gives a place in a document a map of its own: it may be empty, or stand for another (`*name`), which is not to change with it. */
function ownMap(document: Document, place: readonly string[]): void {
  const node: unknown = document.getIn(place, true)
  if (isMap(node)) return
  const meant = isAlias(node) ? node.resolve(document) : undefined
  const own = isMap(meant) ? meant.clone() : document.createNode({})
  if (isMap(own)) delete own.anchor
  document.setIn(place, own)
}

/** Without the null prototypes that plans have inside. */
const plainOf = (plan: Exact<Plan>): unknown => JSON.parse(JSON.stringify(plan))

/** A size as a plan has it, exact. */
function sizeText(bytes: number): string | number {
  if (bytes % (GiB / 2) === 0) return `${bytes / GiB}GiB`
  return bytes % MiB === 0 ? `${bytes / MiB}MiB` : bytes
}
