/** Tests are numbered in reading order; each runs against the built package. */
export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/examples/testing/*.spec.ts', '<rootDir>/__test__/*.spec.ts'],
  transform: {
    '\\.ts$': ['ts-jest', { tsconfig: '<rootDir>/__test__/tsconfig.json', diagnostics: false }],
  },
  modulePathIgnorePatterns: ['<rootDir>/build/', '<rootDir>/target/'],
  reporters: ['default', '<rootDir>/scripts/record-tests.mjs'],
  // On a machine of two processors jest would leave one of them alone.
  maxWorkers: '100%',
  // A time-out is there to end what hangs, and a busy machine is no failure. Under emulation (scripts/test-arm64.sh)
  // everything takes ten times as long, and a program may need a second try.
  testTimeout: process.env.PLIMSOLL_HOST_NODE ? 1_200_000 : 120_000,
}
