// Loaded before a program, which then takes its output for a terminal of 100 columns with colours.

const terminal = { isTTY: true, columns: 100, rows: 60, hasColors: () => true, getColorDepth: () => 4 }
for (const [name, value] of Object.entries(terminal)) Object.defineProperty(process.stdout, name, { value })
