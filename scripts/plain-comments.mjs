// Comments of `binding.d.ts` as they were written. A documentation comment that has passed through a macro of Rust's, as those
// of `src/mirror.rs` do, is a raw string by then, and napi 3.7 takes its marks, `r"` and `r#"`, for a part of the text.
import { readFileSync, writeFileSync } from 'node:fs'

const [, , path] = process.argv
const text = readFileSync(path, 'utf8')
const plain = text.replaceAll(/^( *(?:\/\*\*|\*) )r(#*)" ?(.*?)(?:"\2)?( \*\/)?$/gm, '$1$3$4')
if (plain !== text) writeFileSync(path, plain)
