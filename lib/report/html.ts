const references: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** What HTML reads as markup, and what shows nothing or turns the direction of writing. */
const unsafe = /[&<>"'\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/** A text of unknown origin as HTML that only shows it; what would not be seen comes out as its JSON escape. */
export const escaped = (text: string): string =>
  text.replace(unsafe, (character) => references[character] ?? unicodeEscape(character))

const unicodeEscape = (text: string): string =>
  Array.from({ length: text.length }, (_, i) => `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')

/** What a page's policy calls a style or a script that stands in it. */
export function sourceOf(text: string): string {
  // Asked for when it is needed: loading the package does not wait for it.
  const { createHash } = require('node:crypto') as typeof import('node:crypto')
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}

/** A template with what stands for `{{name}}` in it. */
export const filledIn = (template: string, parts: Readonly<Record<string, string>>): string =>
  template.replace(/\{\{(\w+)\}\}/g, (_, name: string) => parts[name] as string)
