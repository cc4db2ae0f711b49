// What typedoc is to know of this project's pages and comments.

import { basename } from 'node:path'
import { Converter, KindRouter, ReflectionKind } from 'typedoc'

/** Interfaces that mirror what others document: their members need no comment of ours. */
const mirrors =
  /^(?:TensorReadStream|MonitorEmitter|OpenTelemetry\w+|Prometheus(?:Client|Configuration|Metric|Registry)|Llama\w+Like|LlamaLike|MemoryMonitor)$/

/** @param {import('typedoc').Application} app */
export function load(app) {
  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_, page) => entitle(app, page))
  app.converter.on(Converter.EVENT_RESOLVE_END, ({ project }) => spareMembers(app, project))
  app.converter.addUnknownSymbolResolver(inTheEntry)
  app.renderer.defineRouter('files', FileRouter)
}

/** A page's address is the name of its file, not its heading, which may change. */
class FileRouter extends KindRouter {
  getIdealBaseName(reflection) {
    if (!reflection.isDocument()) return super.getIdealBaseName(reflection)
    const path = this.application.files.getReflectionPath(reflection) ?? ''
    return `${groupOf(path).toLowerCase()}/${basename(path, '.md')}`
  }
}

const groupOf = (path) => (path.includes('/docs/guides/') ? 'Guides' : path.includes('/docs/') ? 'Pages' : 'Project')

/** A page is called what its heading says, and stands among its like. */
function entitle(app, page) {
  const [first] = page.content
  const [heading, title] = /^# (.+)\n/.exec(first?.text ?? '') ?? []
  if (heading === undefined) return
  page.name = title.replaceAll('`', '')
  page.frontmatter.group = groupOf(app.files.getReflectionPath(page) ?? '')
}

/** Members that need no comment are said to be without one on purpose. */
function spareMembers(app, project) {
  const members = project.getReflectionsByKind(
    ReflectionKind.Property | ReflectionKind.CallSignature | ReflectionKind.ConstructorSignature,
  )
  const spared = members.filter((member) => !isTold(member) && above(member).some(tellsMembers))
  app.options.setValue('intentionallyNotDocumented', [...new Set(spared.map((member) => member.getFriendlyFullName()))])
}

/** Whether it has a comment, or typedoc asks for none: that of a parameter, and of a type that is a function. */
function isTold(member) {
  if (member.hasComment() || above(member).some((each) => each.kindOf(ReflectionKind.Parameter))) return true
  if (!member.isSignature()) return false
  const isType = member.kindOf(ReflectionKind.CallSignature) && member.parent.kindOf(ReflectionKind.TypeLiteral)
  return isType || member.parent.hasComment()
}

/** Whether the members of a thing need no comment: it mirrors others' work, or is an object that a comment tells whole. */
const tellsMembers = (thing) =>
  mirrors.test(thing.name) || (thing.kindOf(ReflectionKind.TypeLiteral) && above(thing)[0]?.hasComment())

/** What a thing is a part of, the nearest first. */
function above({ parent }) {
  return parent === undefined || parent.isProject() ? [] : [parent, ...above(parent)]
}

/** A name that the comments of a subpath link to, and that the package itself exports. Types, which have no `part`, find it. */
function inTheEntry(reference, from, part) {
  if (part === undefined || reference.moduleSource !== undefined) return undefined
  const [name] = reference.symbolReference?.path ?? []
  const entry = from.project.children?.find((module) => module.name === 'plimsoll')
  const target = name && entry?.getChildByName(name.path)
  return target && { target }
}
