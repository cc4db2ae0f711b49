/** A file of the source, carried as text; `rollup.config.mjs` puts it in. */
declare module '*?text' {
  const text: string
  export default text
}
