// Runs what the guides show, over the models and the copies of boards that the tests have, and draws their pictures.

import { spawn, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { writeLlama8b } from './models.mjs'
import { terminalPicture } from './terminal-svg.mjs'

const root = resolve(fileURLToPath(import.meta.url), '../../..')
const guides = join(root, 'docs/guides')

/** The picture of each guide: a command that it is about, and of what the sections of the output that it shows. */
const pictures = {
  'first-guarded-model': {
    command: 'plimsoll fit llama-3.1-8b-Q4_K_M.gguf --board orin-nano-8gb',
    description: 'The best configuration of Llama 3.1 8B for a Jetson Orin Nano with 8 GB, by plimsoll fit',
  },
  'several-servers': {
    command: 'plimsoll plan plan.yaml',
    description: 'The report of a plan that does not fit, with what would mend it, by plimsoll plan',
  },
  'which-quantisation-fits': {
    command: 'node quantisations.mjs',
    description: 'What Llama 3.1 8B needs at each level of quantisation, beside what the board has',
  },
  'why-was-i-refused': {
    command: 'plimsoll doctor --root container-on-orin',
    sections: ['Line', 'Headroom'],
    description: 'The terms of line and headroom in a container with a limit of 2 GiB, by plimsoll doctor',
  },
  'on-a-jetson': {
    command: 'plimsoll doctor --root jetson-orin-nano-8gb',
    sections: ['Board', 'Line', 'Headroom', 'Device memory'],
    description: 'Board, line, headroom and device memory of a Jetson Orin Nano, by plimsoll doctor',
  },
  'on-an-rk3588': {
    command: 'plimsoll doctor --root rock-5b-plus-vendor',
    sections: ['Board', 'Line', 'Headroom', 'Device memory'],
    description: 'Board, line, headroom and device memory of a Radxa ROCK 5B+, by plimsoll doctor',
  },
}

/** How often it is asked whether a command in the background holds its slice by now. */
const MOST_LOOKS = 200

/**
 * What is wrong with the guides and their pictures, in words; nothing where all is as it is shown. With `write` the pictures are
 * drawn.
 */
export function checkGuides({ write }) {
  const names = readdirSync(guides).filter((name) => name.endsWith('.md'))
  const without = names.filter((name) => !(name.slice(0, -3) in pictures)).map((name) => `${name} has no picture`)
  return [...without, ...Object.keys(pictures).flatMap((name) => checkGuide(name, write))]
}

function checkGuide(name, write) {
  const text = readFileSync(join(guides, `${name}.md`), 'utf8')
  const folder = new Folder(text)
  try {
    const { command, sections, description } = pictures[name]
    const drawn = terminalPicture(command, only(sections, folder.run(command, true)), description)
    const path = join(guides, `${name}.svg`)
    if (write) writeFileSync(path, drawn)
    const stale = existsSync(path) && readFileSync(path, 'utf8') === drawn ? [] : [`${name}.svg is not what comes now`]
    const unused = text.includes(`](${name}.svg)`) ? [] : [`${name}.md does not show its picture`]
    return [...stale, ...unused, ...folder.wrongIn(blocksOf(text, 'console')).map((each) => `${name}.md: ${each}`)]
  } finally {
    folder.remove()
  }
}

/** The blocks of a language. */
const blocksOf = (text, language) =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(([, block]) => block)

/** Of an output, the sections with these headings. */
function only(sections, output) {
  if (sections === undefined) return output
  const parts = output.split(/\n\n(?=\S)/)
  const shown = sections.map((section) => parts.find((part) => stripVTControlCharacters(part).startsWith(section)))
  return ['...', ...shown].join('\n\n')
}

/** Where a guide's commands run: with the files that it shows, the model, and the copies of boards. */
class Folder {
  #path = mkdtempSync(join(tmpdir(), 'plimsoll-guide-'))
  #ledger = mkdtempSync('/dev/shm/plimsoll-guide-')
  #background = []

  constructor(text) {
    writeLlama8b(join(this.#path, 'llama-3.1-8b-Q4_K_M.gguf'))
    cpSync(join(root, 'examples/models/plimsoll-sample-llama.gguf'), join(this.#path, 'model.gguf'))
    const boards = join(root, 'crates/plimsoll/tests/boards')
    for (const { command } of Object.values(pictures)) {
      const [, board] = /--root (\S+)/.exec(command) ?? []
      if (board) cpSync(join(boards, board), join(this.#path, board), { recursive: true })
    }
    mkdirSync(join(this.#path, 'node_modules'))
    spawnSync('ln', ['-s', root, join(this.#path, 'node_modules/plimsoll')])
    // A file says in its first line what it is called.
    for (const block of [...blocksOf(text, 'yaml'), ...blocksOf(text, 'js')]) {
      const [, file] = /^(?:#|\/\/) (\S+)\n/.exec(block) ?? []
      if (file) writeFileSync(join(this.#path, file), block)
    }
  }

  /** What a command writes. The ledger is one of its own. */
  run(command, coloured = false) {
    const { stdout } = spawnSync('bash', ['-c', this.#script(`{ ${command}\n} 2>&1`, coloured)], this.#options())
    return stdout
  }

  #options = () => ({ cwd: this.#path, encoding: 'utf8' })

  #script(command, coloured = false) {
    const node = `node${coloured ? ` --import ${join(root, 'scripts/site/as-terminal.mjs')}` : ''}`
    return `
      node() { command ${node} "$@"; }
      plimsoll() {
        local shared=
        case $1 in
          run) shared="--directory ${this.#ledger} --no-black-box";;
          ledger) shared="--directory ${this.#ledger}";;
        esac
        node ${join(root, 'dist/cli.js')} "$1" $shared "\${@:2}"
      }
      ${command}`
  }

  #start(command) {
    const child = spawn('bash', ['-c', this.#script(command)], { ...this.#options(), detached: true, stdio: 'ignore' })
    this.#background.push(child)
    for (let looks = 0; this.#holders() < this.#background.length; looks++) {
      if (looks === MOST_LOOKS) throw new Error(`expected "${command}" to hold its slice by now`)
    }
  }

  #holders = () => JSON.parse(this.run('plimsoll ledger --json')).holders?.length ?? 0

  /** Where a block shows what its commands do not write. `...` stands for what is left out, and lines are broken as they like. */
  wrongIn(blocks) {
    return blocks.flatMap((block) =>
      block
        .split(/^\$ /m)
        .slice(1)
        .flatMap((part) => {
          const [command, ...shown] = part.split('\n')
          if (command.endsWith('&')) {
            this.#start(command.slice(0, -1))
            return []
          }
          const written = plain(this.run(command))
          const missing = missingOf(
            shown
              .join('\n')
              .split(/^ *\.\.\.$/m)
              .map(plain),
            written,
          )
          return missing === undefined ? [] : [`expected "${command}" to write\n  ${missing}\ngot\n  ${written}`]
        }),
    )
  }

  remove() {
    for (const { pid } of this.#background) {
      try {
        process.kill(-pid)
      } catch {
        // It has ended.
      }
    }
    for (const path of [this.#path, this.#ledger]) rmSync(path, { recursive: true, force: true })
  }
}

/** What differs from one run to the next is one sign: ids of processes, the time since, resident memory. */
const plain = (text) =>
  text
    .replaceAll(/\b(?:\d+\.\d+ (?:s|min|ms)|process \d+)/g, '#')
    .replaceAll(/^( +\S+ GiB +\S+ \S+ +)\S+ \S+( +\S+ \S+ +\d+ +)\d+/gm, '$1#$2#')
    .replaceAll(/\/dev\/shm\/plimsoll-guide-\w+/g, '/run/plimsoll')
    .replaceAll(/\s+/g, ' ')
    .trim()

/** The first fragment that does not follow those before it. */
function missingOf(fragments, written) {
  let from = 0
  return fragments.find((fragment) => {
    const at = written.indexOf(fragment, from)
    from = at + fragment.length
    return at === -1
  })
}
