/** Tests are numbered in reading order; each runs against the built package. */
export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/__test__/*.spec.ts'],
  transform: {
    '\\.ts$': ['ts-jest', { tsconfig: '<rootDir>/__test__/tsconfig.json', diagnostics: false }],
  },
  modulePathIgnorePatterns: ['<rootDir>/build/', '<rootDir>/target/'],
  testTimeout: 30_000,
}
