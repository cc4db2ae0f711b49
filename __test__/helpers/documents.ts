import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './child'

/** The pages of a folder of the checkout, and of those below it. */
export const documentsIn = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name))
    .sort()

/** The text of a page without its blocks of code. */
const proseOf = (path: string): string => readFileSync(join(root, path), 'utf8').replace(/^ *```.*?^ *```$/gms, '')

/** The links of a page that stay in the checkout: the path, empty for the page itself, and the heading if it names one. */
export const linksOf = (path: string): (readonly [path: string, heading: string | undefined])[] =>
  [...proseOf(path).matchAll(/\]\((?!https?:)([^)\s#]*)(?:#([^)\s]+))?\)/g)].map(
    ([, to = '', heading]) => [to, heading] as const,
  )

const known = new Map<string, Set<string>>()

/** The anchors of a page's headings, as GitHub makes them. */
export function anchorsOf(path: string): Set<string> {
  const anchors = known.get(path) ?? new Set<string>()
  if (!known.has(path)) {
    known.set(path, anchors)
    for (const [, heading = ''] of proseOf(path).matchAll(/^#+ (.+)$/gm)) {
      const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
      const anchor = text.replace(/[^\p{Letter}\p{Number}\p{Mark}\p{Pc} -]/gu, '').replaceAll(' ', '-')
      for (let count = 0; ; count++) {
        const numbered = count === 0 ? anchor : `${anchor}-${count}`
        if (anchors.has(numbered)) continue
        anchors.add(numbered)
        break
      }
    }
  }
  return anchors
}
