/**
 * Everything that can be called, found by looking at what the package exports: a class or a method that is added is called
 * without a word here.
 */

const builtIn = new Set(['constructor', 'length', 'name', 'prototype'])

const nameOf = (key) => (typeof key === 'symbol' ? `[${key.description}]` : key)

const isClass = (value) => typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value))

/** The members of a class: its constructor, and what its statics and its prototype have. */
function membersOf(name, type) {
  const members = [{ id: `new ${name}`, className: undefined, makes: name, call: (_, args) => new type(...args) }]
  for (const [holder, isStatic] of [
    [type, true],
    [type.prototype, false],
  ]) {
    for (const key of Reflect.ownKeys(holder)) {
      if (builtIn.has(key)) continue
      const { value, get, set } = Object.getOwnPropertyDescriptor(holder, key)
      const id = `${name}${isStatic ? '.' : '#'}${nameOf(key)}`
      const className = isStatic ? undefined : name
      const on = (receiver) => (isStatic ? type : receiver)
      const base = { className, key, owner: name }
      if (typeof value === 'function') {
        members.push({ ...base, id, call: (receiver, args) => Reflect.apply(value, on(receiver), args) })
      }
      if (get) members.push({ ...base, id: `get ${id}`, call: (receiver) => Reflect.apply(get, on(receiver), []) })
      if (set)
        members.push({ ...base, id: `set ${id}`, call: (receiver, args) => Reflect.apply(set, on(receiver), args) })
    }
  }
  return members
}

/**
 * @param {object} exported what the package exports
 * @returns its `members`, each with its `id`, the class of its receiver and how it is called, and its `classes` by name
 */
export function surfaceOf(exported) {
  const classes = new Map()
  const members = []
  for (const [name, value] of Object.entries(exported)) {
    if (isClass(value)) {
      // Errors are made by the package.
      if (value.prototype instanceof Error) continue
      classes.set(name, value)
      members.push(...membersOf(name, value))
    } else if (typeof value === 'function') {
      members.push({ id: name, className: undefined, owner: name, call: (_, args) => value(...args) })
    }
  }
  return { members, classes }
}

/**
 * The names of all options in the types, which must not be read from a polluted prototype. One that a result has, too, is left
 * out: what is absent from a result may be read there.
 */
export function optionNames(types) {
  const names = { options: new Set(), results: new Set() }
  for (const [, name, body] of types.matchAll(/^(?:export )?interface (\w+)[^{]*\{\n(.*?)^\}/gms)) {
    const found = /(Options|Limits|Numbers|Range)$/.test(name) ? names.options : names.results
    for (const [, optional] of body.matchAll(/^\s+(\w+)\?:/gm)) found.add(optional)
  }
  return [...names.options].filter((name) => !names.results.has(name))
}
