/**
 * The symbols of `using` for realms that have none: those of Jest 29 and of vitest's vm pools. What compilers make of `using`
 * either demands them (TypeScript) or falls back to these very ones (Babel, esbuild).
 */
for (const name of ['dispose', 'asyncDispose'] as const) {
  if (!Symbol[name]) Object.defineProperty(Symbol, name, { value: Symbol.for(`Symbol.${name}`) })
}

export {}
