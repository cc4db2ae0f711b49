// Every link of the site, to pages, to headings and to pictures, leads somewhere within it.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** Attributes of the markup that typedoc writes: always in double quotes. */
const LINKS = /\s(?:href|src)="([^"]*)"/g
const IDS = /\sid="([^"]*)"/g

const entities = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", '#x27': "'" }
const unescaped = (text) => text.replaceAll(/&([a-z]+|#\w+);/g, (entity, name) => entities[name] ?? entity)

const all = (text, pattern) => [...text.matchAll(pattern)].map(([, value]) => unescaped(value))

/** The links of a folder of pages that lead nowhere, each with where it stands; and how many there are of all. */
export function deadLinks(folder) {
  const files = readdirSync(folder, { recursive: true }).map((path) => join(folder, path))
  const idsOf = new Map(files.map((path) => [path, new Set()]))
  const linksOf = new Map()
  for (const path of files.filter((path) => /\.(?:html|svg)$/.test(path))) {
    const text = readFileSync(path, 'utf8')
    idsOf.set(path, new Set(all(text, IDS)))
    if (path.endsWith('.html')) linksOf.set(path, new Set(all(text, LINKS).filter(isOwn)))
  }
  const dead = [...linksOf].flatMap(([path, links]) =>
    [...links].filter((link) => !leadsSomewhere(path, link, idsOf)).map((link) => `${relative(folder, path)}: ${link}`),
  )
  return { dead, pages: linksOf.size, links: [...linksOf.values()].reduce((sum, { size }) => sum + size, 0) }
}

const isOwn = (link) => !/^[a-z]+:/.test(link)

function leadsSomewhere(path, link, idsOf) {
  const [to, heading = ''] = link
    .replace(/\?[^#]*/, '')
    .split('#')
    .map(decodeURIComponent)
  const ids = idsOf.get(to === '' ? path : join(dirname(path), to))
  return ids !== undefined && (heading === '' || ids.has(heading))
}
