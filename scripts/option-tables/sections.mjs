// Which section of docs/ is about a name of the package's.

/** A heading, and what stands below it, deeper headings included. */
const HEADING = /^(#+) (.+)$/
const TABLE = /^<!-- options: ([\w ]+)(?:, .+)? -->$/gm
const ABOUT = /^<!-- about: (.+) -->$/gm

/** The class of objects that headings call otherwise than its name ends. */
const classes = { model: 'GgufFile' }

export class Sections {
  /** @type {{ page: string, anchor: string, title: string, text: string, own: string }[]} */
  #sections

  /** @param {Map<string, string>} pages their texts by their names */
  constructor(pages) {
    this.#sections = [...pages].flatMap(([page, text]) => sectionsOf(page, text))
  }

  /**
   * The address of the section about a name, as a link from a page; `undefined` where there is none. That is the one which a
   * heading names: `detectBoard([options])`, `new StagingPool([options])`, `Device.open([choice])`, `pool.allocate(bytes)` for
   * `MemoryPool.allocate`; which says so itself, by `<!-- about: NAME ... -->`; or which has the table of an interface. A member
   * may be told of in the section about its class.
   * @param {string} name
   * @param {string} from the page that links
   */
  linkTo(name, from) {
    return linked(this.#about(name) ?? this.#ofMember(name), from)
  }

  /**
   * The address of the section that says itself that it is about an option of an interface.
   * @param {string} name the interface's and the option's: `LoadOptions.threads`
   * @param {string} from the page that links
   */
  linkToOption(name, from) {
    return linked(this.#saying(ABOUT, name), from)
  }

  /** The address of the section whose heading begins with some code. */
  linkToTitle(start) {
    const section = this.#sections.find(({ title }) => title === start || title.startsWith(`${start} `))
    return section && `#${section.anchor}`
  }

  #about(name) {
    return (
      this.#sections.find(({ title }) => isNamed(title, name)) ??
      this.#saying(ABOUT, name) ??
      this.#sections.find(({ title }) => isMade(title, name)) ??
      this.#saying(TABLE, name)
    )
  }

  #saying(marker, name) {
    return this.#sections.find(({ own }) =>
      [...own.matchAll(marker)].some(([, names]) => names.split(' ').includes(name)),
    )
  }

  #ofMember(name) {
    const [owner, member] = name.split('.')
    const section = member && this.#about(owner)
    return section && new RegExp(`\`${member}\\b[^\`]*\``).test(section.text) ? section : undefined
  }
}

const linked = (section, from) => section && `${section.page === from ? '' : section.page}#${section.anchor}`

function sectionsOf(page, text) {
  const lines = withoutExamples(text).split('\n')
  const headings = lines.flatMap((line, at) => {
    const [, { length: level } = '', heading] = HEADING.exec(line) ?? []
    return heading === undefined ? [] : [{ at, level, heading }]
  })
  const anchors = new Map()
  return headings.map(({ at, level, heading }, index) => {
    const anchor = anchorOf(heading)
    const count = anchors.get(anchor) ?? 0
    anchors.set(anchor, count + 1)
    const below = headings.slice(index + 1)
    const until = (next) => lines.slice(at + 1, next?.at).join('\n')
    return {
      page,
      anchor: count === 0 ? anchor : `${anchor}-${count}`,
      title: heading.replaceAll('`', ''),
      text: until(below.find((next) => next.level <= level)),
      own: until(below[0]),
    }
  })
}

const withoutExamples = (text) => text.replaceAll(/^```[\s\S]*?^```$/gm, (example) => example.replaceAll(/.+/g, ''))

/** As GitHub makes it, which numbers those that are there already. */
const anchorOf = (heading) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{Letter}\p{Number}\p{Mark}\p{Pc} -]/gu, '')
    .replaceAll(' ', '-')

/** Whether a heading is about a function, a type, or a member by the usual name of its object. */
function isNamed(title, name) {
  const [heading] = title.split('(')
  if (heading === name) return true
  const [object, method] = heading.split('.')
  const [owner, member] = name.split('.')
  const isItsObject = classes[object] === owner || owner.toLowerCase().endsWith(object.toLowerCase())
  return member !== undefined && method === member && isItsObject
}

/** Whether a heading tells how objects of a class are made. */
const isMade = (title, name) => title.startsWith(`new ${name}(`) || title.startsWith(`${name}.`)
