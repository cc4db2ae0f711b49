/** What the scripts of all pages are made with. Names come from anywhere: they become text, never markup. */

/** The element of the page that has that id, which is there. */
export const byId = (id: string): HTMLElement => document.getElementById(id) as HTMLElement

/** An element with its class and what is in it: texts and elements. */
export function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  className = '',
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name)
  if (className) made.className = className
  made.append(...children)
  return made
}

/** A button that does something. */
export function button(className: string, onClick: () => void, ...children: (Node | string)[]): HTMLButtonElement {
  const made = element('button', className, ...children)
  made.type = 'button'
  made.addEventListener('click', onClick)
  return made
}

/** An element of a drawing. */
export function shape<K extends keyof SVGElementTagNameMap>(
  name: K,
  attributes: Readonly<Record<string, string | number>>,
  ...children: Node[]
): SVGElementTagNameMap[K] {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value))
  made.append(...children)
  return made
}

/** The text of a drawing's part, which a pointer that rests there shows. */
export function title(text: string): SVGTitleElement {
  const made = shape('title', {})
  made.textContent = text
  return made
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** A size, rounded. */
export function bytes(count: number | undefined): string {
  if (count === undefined) return '?'
  const power = Math.min(Math.max(Math.floor(Math.log2(Math.max(Math.abs(count), 1)) / 10), 0), 5)
  const value = count / 1024 ** power
  return `${power === 0 ? count : value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${units[power]}`
}

/** A size that a reader, or a test, finds exact behind the rounded one. */
export function size(count: number | undefined): HTMLDataElement {
  const made = element('data', '', bytes(count))
  if (count === undefined) return made
  made.value = String(count)
  made.title = `${number(count)} bytes`
  return made
}

/** Figures with their names, for a list of the class `figures`. */
export const figures = (named: readonly (readonly [name: string, value: Node | string])[]): HTMLElement[] =>
  named.map(([name, value]) => element('div', '', element('dt', '', name), element('dd', 'figure', value)))

/** A duration, rounded. */
export function time(ms: number): string {
  if (ms < 1000) return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`
  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`
  return ms < 7_200_000 ? `${(ms / 60_000).toFixed(0)} min` : `${(ms / 3_600_000).toFixed(1)} h`
}

/** A time of day where the page is read. */
export function clock(timeMs: number): HTMLTimeElement {
  const made = element('time', '', new Date(timeMs).toLocaleTimeString())
  made.dateTime = new Date(timeMs).toISOString()
  return made
}

/** A number with its thousands apart. */
export const number = (count: number): string => count.toLocaleString('en-US')

/** A share of one. */
export const percent = (share: number): string => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`

/** A text as it can be shown: what acts instead of showing, by its code. */
export function visible(text: string): string {
  const shown = text.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  )
  return shown === '' ? '(empty)' : shown
}

/** The same in an element that turns no other text around. */
export const isolated = (text: string): HTMLElement => element('bdi', '', visible(text))
