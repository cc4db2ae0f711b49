/** A file of the source, carried as text; `rollup.config.mjs` puts it in. */
declare module '*?text' {
  const text: string
  export default text
}

/** The script of a page with all that it imports, as the text of one module; `rollup.config.mjs` makes it of the TypeScript beside it. */
declare module '*?script' {
  const text: string
  export default text
}
