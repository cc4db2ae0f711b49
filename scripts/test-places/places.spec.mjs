// Every check by vitest.
import { test } from 'vitest'
import checks from './checks.cjs'

for (const [name, check] of Object.entries(checks)) test(name, check)
