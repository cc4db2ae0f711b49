/** What the scripts of all pages are made with. Names come from anywhere: they become text, never markup. */

import { sizeText, timeText } from '../text.js'

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

/** A size, rounded. */
export const bytes = (count: number | undefined): string => (count === undefined ? '?' : sizeText(count))

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

/** A time of day where the page is read, with its date unless that is today's. */
export function clock(timeMs: number): HTMLTimeElement {
  const today = timeText(Date.now(), 'local').slice(0, -8)
  const text = timeText(timeMs, 'local')
  const made = element('time', '', text.startsWith(today) ? text.slice(today.length) : text)
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
