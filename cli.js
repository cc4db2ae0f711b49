#!/usr/bin/env node
'use strict';

const node_util = require('node:util');
const fastestLevenshtein = require('fastest-levenshtein');
const node_os = require('node:os');
const node_fs = require('node:fs');
const node_path = require('node:path');

const plimsoll = new Proxy({}, { get: (_, name) => require('./index.js')[name] });

/** What the exit codes of the command line mean. */
const Exit = {
    /** It fits, it is fine. */
    fine: 0,
    /** What was asked for does not fit under the line. */
    doesNotFit: 1,
    /** The command itself is wrong: an unknown verb or option, an unfit value, a tensor that is not in the file. */
    wrongUse: 2,
    /** The file cannot be opened, is no GGUF file, or holds a tensor that does not convert. */
    brokenInput: 3,
    /** The system failed: memory cannot be measured, reading broke off half-way, output cannot be written. */
    trouble: 4,
    /** Ended by Ctrl-C: 128 and the number of SIGINT. */
    interrupted: 130,
};
/** The exit codes as the help shows them. */
const exitCodeHelp = [
    [Exit.fine, 'fine'],
    [Exit.doesNotFit, 'does not fit'],
    [Exit.wrongUse, 'wrong use'],
    [Exit.brokenInput, 'broken input'],
    [Exit.trouble, 'device or system trouble'],
    [Exit.interrupted, 'interrupted'],
];

/** The command was written wrongly. */
class UsageError extends Error {
    code = 'ERR_INVALID_ARGUMENT';
    exitCode = Exit.wrongUse;
}
/** The file cannot be opened, which says more about the file than about the system. `cause` is the error. */
class InputError extends Error {
    exitCode = Exit.brokenInput;
    constructor(cause) {
        super(cause.message, { cause });
    }
}
/** The system does not give what the command needs. */
class SystemError extends Error {
    code = 'ERR_SYSTEM';
    exitCode = Exit.trouble;
}
const exitCodes$1 = {
    ERR_INSUFFICIENT_MEMORY: Exit.doesNotFit,
    ERR_INVALID_ARGUMENT: Exit.wrongUse,
    ERR_INVALID_GGUF: Exit.brokenInput,
    ERR_UNSUPPORTED_TYPE: Exit.brokenInput,
    ERR_IO: Exit.trouble,
    ERR_RELEASED: Exit.trouble,
    ERR_ADDON_UNAVAILABLE: Exit.trouble,
    ABORT_ERR: Exit.interrupted,
};
/** What an error means for whoever ran the command; `undefined` for one that nobody foresaw. */
function tell(error) {
    if (error instanceof UsageError || error instanceof SystemError) {
        const { code, exitCode, message } = error;
        return { exitCode, message, document: { error: { code, message } } };
    }
    const cause = error instanceof InputError ? error.cause : error;
    if (!isOfPackage(cause))
        return undefined;
    const exitCode = error instanceof InputError ? error.exitCode : exitCodes$1[cause.code];
    const message = messageOf(cause);
    return { exitCode, message, document: { error: { ...cause, message } } };
}
/** Without its addon the package exports nothing, not even the class of its errors. */
function isOfPackage(error) {
    if (error?.code === 'ERR_ADDON_UNAVAILABLE')
        return true;
    try {
        return error instanceof plimsoll.PlimsollError;
    }
    catch {
        return false;
    }
}
/** The package's options as the command line calls them. */
const flags = {
    chunkBytes: '--chunk',
    maxBytes: '--max',
    path: 'FILE',
    safetyMarginPercent: '--margin',
};
function messageOf(error) {
    if (error.code === 'ABORT_ERR')
        return 'interrupted';
    if (error.code !== 'ERR_INVALID_ARGUMENT')
        return error.message;
    const { argument, expected, received } = error;
    return `expected ${flags[argument] ?? argument} to be ${expected}, got ${received}`;
}

/** The options that every verb has. */
const commonOptions = {
    json: { type: 'boolean', help: 'print one JSON document and nothing else' },
    help: { type: 'boolean', help: 'print this help' },
};
/** The arguments of one call of a verb. Getters of values throw a {@link UsageError} for one that is unfit. */
class Arguments {
    #values;
    #operands;
    constructor(values, operands) {
        this.#values = values;
        this.#operands = operands;
    }
    /** The one operand of a verb that demands one. */
    get file() {
        const [file, surplus] = this.#operands;
        if (file === undefined)
            throw new UsageError('expected a FILE, got none');
        if (surplus !== undefined)
            throw new UsageError(`expected one FILE, got also "${surplus}"`);
        return file;
    }
    flag(name) {
        return this.#values[name] === true;
    }
    list(name) {
        return this.#values[name];
    }
    number(name) {
        const text = this.#text(name);
        if (text === undefined)
            return undefined;
        const number = text.trim() === '' ? Number.NaN : Number(text);
        if (Number.isFinite(number))
            return number;
        throw new UsageError(`expected --${name} to be a number, got "${text}"`);
    }
    /** A size in bytes. */
    size(name) {
        const text = this.#text(name);
        if (text === undefined)
            return undefined;
        try {
            return plimsoll.parseBytes(text);
        }
        catch (error) {
            const expected = error instanceof plimsoll.PlimsollError && 'expected' in error ? error.expected : 'a size';
            throw new UsageError(`expected --${name} to be ${expected}, got "${text}"`);
        }
    }
    oneOf(name, allowed) {
        const text = this.#text(name);
        if (text === undefined || allowed.includes(text))
            return text;
        throw new UsageError(`unknown value "${text}" of --${name}; did you mean "${nearest(text, allowed)}"?`);
    }
    #text(name) {
        return this.#values[name];
    }
}
/** The word of a list that a misspelt one was probably meant to be. */
const nearest = (word, known) => fastestLevenshtein.closest(word, known);
/** Reads what follows the verb. */
function parse(verb, argv) {
    const options = { ...verb.options, ...commonOptions };
    refuseUnknown(argv, options);
    const { values, positionals } = parseStrictly(argv, options);
    if (verb.operand === undefined && positionals.length > 0) {
        throw new UsageError(`expected no operand, got "${positionals[0]}"`);
    }
    return new Arguments(values, positionals);
}
/** Finds a misspelt option before the parser does, to name the nearest right one. */
function refuseUnknown(argv, options) {
    const { tokens } = node_util.parseArgs({ args: argv, options, strict: false, tokens: true });
    for (const token of tokens) {
        if (token.kind !== 'option' || Object.hasOwn(options, token.name))
            continue;
        const known = Object.keys(options).map((name) => `--${name}`);
        throw new UsageError(`unknown option "${token.rawName}"; did you mean "${nearest(token.rawName, known)}"?`);
    }
}
function parseStrictly(argv, options) {
    try {
        return node_util.parseArgs({ args: argv, options, allowPositionals: true });
    }
    catch (error) {
        throw new UsageError(error.message.replaceAll('\n', ' '));
    }
}

/** The options that move the line. */
const lineOptions = {
    board: { type: 'string', value: 'ID', help: 'bound the line by the preset of a board; doctor --boards lists them' },
    margin: { type: 'string', value: 'PERCENT', help: 'share of the memory to leave alone (15)' },
    max: { type: 'string', value: 'SIZE', help: 'an upper bound of your own, such as 6GiB' },
};
/** The preset named by `--board`, if one is. */
function boardFrom(args) {
    const id = args.oneOf('board', plimsoll.boardPresets.map((board) => board.id));
    return plimsoll.boardPresets.find((board) => board.id === id);
}
function lineFrom(args) {
    const board = boardFrom(args)?.id;
    const safetyMarginPercent = args.number('margin');
    const maxBytes = args.size('max');
    return {
        ...(board !== undefined && { board }),
        ...(safetyMarginPercent !== undefined && { safetyMarginPercent }),
        ...(maxBytes !== undefined && { maxBytes }),
    };
}
function lineOf(budget) {
    const terms = budget.terms.sort((a, b) => a.bytes - b.bytes);
    return { lineBytes: budget.lineBytes, binding: budget.bindingTerm.kind, terms };
}

/** The memory of this machine, or the end of the command: without it there is no line. */
function measuredMachine() {
    const machine = plimsoll.machineMemory();
    if (machine.totalBytes > 0)
        return machine;
    throw new SystemError('expected the system to say how much memory it has, got nothing; is /proc mounted?');
}

/** Characters that act on a terminal instead of showing: controls, and marks that turn the direction of writing. */
const invisible = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
/** A text of unknown origin as one line that only shows: names and values in a file can hold commands to a terminal. */
const visible = (text) => text.replace(invisible, (character) => shortEscapes[character] ?? unicodeEscape(character));
const shortEscapes = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };
/** The JSON escape of every UTF-16 unit. */
const unicodeEscape = (text) => Array.from({ length: text.length }, (_, i) => `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`).join('');
/** A text shortened to a number of characters. */
function clip(text, width) {
    // Characters are at most two units each, so what lies beyond need not be counted.
    const characters = [...text.slice(0, 2 * width + 2)];
    return characters.length <= width ? text : `${characters.slice(0, Math.max(width - 1, 0)).join('')}…`;
}
/** A number with its thousands set apart: `2,042,464`. */
const grouped = (number) => number.toLocaleString('en-US');

const GAP = '  ';
/** The most characters of a cell that is not in the last column. */
const MAX_CELL = 64;
/** What the last column gets at least, however narrow the page. */
const MIN_LAST = 16;
/** The title of a section, with a quiet note beside it. */
const heading = (page, title, note = '') => page.paint('bold', title) + (note && `${GAP}${page.paint('dim', note)}`);
/** Names and values under each other; what is `undefined` is left out. */
function facts(page, rows) {
    const columns = [{ title: '', style: 'dim' }, { title: '' }];
    const given = rows.filter((row) => row[1] !== undefined);
    return aligned(page, columns, given).map((row) => line(page, row, columns));
}
/** A table under a line of titles. */
function table(page, columns, rows) {
    const titles = columns.map((column) => column.title);
    const quiet = columns.map((column) => ({ ...column, style: 'dim' }));
    return aligned(page, columns, [titles, ...rows]).map((row, i) => line(page, row, i === 0 ? quiet : columns));
}
/** Cells as wide as the widest of their column; the last column takes what is left of the page. */
function aligned(page, columns, rows) {
    const last = columns.length - 1;
    const cut = rows.map((row) => row.map((cell, i) => (i < last ? clip(cell, MAX_CELL) : cell)));
    const widths = columns.map((_, i) => cut.reduce((widest, row) => Math.max(widest, length(row[i] ?? '')), 0));
    const taken = widths.slice(0, last).reduce((sum, width) => sum + width + GAP.length, GAP.length);
    widths[last] = Math.min(widths[last] ?? 0, Math.max(page.width - taken, MIN_LAST));
    return cut.map((row) => columns.map((column, i) => pad(clip(row[i] ?? '', widths[i] ?? 0), widths[i] ?? 0, column)));
}
function pad(text, width, column) {
    const space = ' '.repeat(width - length(text));
    return column.align === 'right' ? space + text : text + space;
}
function line(page, row, columns) {
    const cells = row.map((cell, i) => {
        const text = i === row.length - 1 ? cell.trimEnd() : cell;
        const style = columns[i]?.style;
        return style && text.trim() ? page.paint(style, text) : text;
    });
    return (GAP + cells.join(GAP)).trimEnd();
}
const length = (text) => [...text].length;

/** The version of the package. The command line is bundled to one CommonJS file beside the package's description. */
function packageVersion() {
    const description = JSON.parse(node_fs.readFileSync(node_path.join(__dirname, 'package.json'), 'utf8'));
    return description.version;
}

const doctor = {
    name: 'doctor',
    summary: 'this machine: its memory, how much of it may be used, and why',
    options: {
        ...lineOptions,
        boards: { type: 'boolean', help: 'list the boards that have a preset, and nothing else' },
    },
    run: (args) => (args.flag('boards') ? presets() : diagnosis(args)),
};
function presets() {
    return { document: { boards: plimsoll.boardPresets }, lines: (page) => boardSection(page, 'Boards', plimsoll.boardPresets) };
}
function diagnosis(args) {
    const found = examine(args);
    const { board, machine, line } = found;
    return {
        document: { ...found, board: board ?? null, machine: { ...machine, cgroup: machine.cgroup ?? null } },
        lines: (page) => [
            ...programSection(page, found),
            '',
            ...machineSection(page, machine),
            '',
            ...(board ? [...boardSection(page, 'Board', [board]), ''] : []),
            ...lineSection(page, line, machine),
            '',
            ...processSection(page, found),
        ],
    };
}
function examine(args) {
    return {
        version: packageVersion(),
        node: process.versions.node,
        platform: process.platform,
        system: node_os.release(),
        architecture: process.arch,
        instructionSet: plimsoll.instructionSet(),
        addon: plimsoll.loadedAddon(),
        machine: measuredMachine(),
        board: boardFrom(args),
        line: lineOf(plimsoll.MemoryBudget.forThisMachine(lineFrom(args))),
        process: plimsoll.processMemory(),
    };
}
const programSection = (page, found) => [
    heading(page, 'Program'),
    '',
    ...facts(page, [
        ['plimsoll', found.version],
        ['node', found.node],
        ['system', `${found.platform} ${found.system}, ${found.architecture}`],
        ['instructions', found.instructionSet],
        ['addon', addonText(found.addon)],
        ['file', visible(found.addon.path)],
    ]),
];
const addonText = ({ platform, sizeBytes, sha256Verified }) => `${platform}, ${plimsoll.formatBytes(sizeBytes)}${sha256Verified ? ', SHA-256 verified' : ''}`;
const machineSection = (page, { totalBytes, availableBytes, cgroup }) => [
    heading(page, 'Machine'),
    '',
    ...facts(page, [
        ['total', plimsoll.formatBytes(totalBytes)],
        ['available', plimsoll.formatBytes(availableBytes)],
        ['cgroup', cgroup ? `${plimsoll.formatBytes(cgroup.limitBytes)}, ${visible(cgroup.path)}` : 'no limit'],
    ]),
];
const boardSection = (page, title, boards) => [
    heading(page, title),
    '',
    ...table(page, [
        { title: 'id', style: 'bold' },
        { title: 'total', align: 'right' },
        { title: 'reserved', align: 'right' },
        { title: 'usable', align: 'right' },
        { title: 'system on chip' },
        { title: 'name' },
    ], boards.map((board) => [
        board.id,
        plimsoll.formatBytes(board.totalBytes),
        plimsoll.formatBytes(board.reservedBytes),
        plimsoll.formatBytes(board.usableBytes),
        `${board.vendor} ${board.soc}`,
        board.name,
    ])),
];
const lineSection = (page, { lineBytes, binding, terms }, { availableBytes }) => [
    heading(page, 'Line', `${plimsoll.formatBytes(lineBytes)} may be used; the lowest term draws it`),
    '',
    ...table(page, [{ title: '', style: 'green' }, { title: 'term' }, { title: 'bytes', align: 'right' }, { title: 'what it is' }], terms.map((term) => [
        term.kind === binding ? '▸' : '',
        term.kind,
        plimsoll.formatBytes(term.bytes),
        visible(term.description),
    ])),
    ...(availableBytes < lineBytes ? ['', shortage(page, availableBytes)] : []),
];
const shortage = (page, availableBytes) => `  ${page.paint('yellow', `Less than the line is free now: ${plimsoll.formatBytes(availableBytes)}.`)}`;
const processSection = (page, { process: memory }) => [
    heading(page, 'This process'),
    '',
    ...facts(page, [
        ['resident', plimsoll.formatBytes(memory.rssBytes)],
        ['anonymous', plimsoll.formatBytes(memory.anonymousBytes)],
        ['file', plimsoll.formatBytes(memory.fileBytes)],
        ['shared', plimsoll.formatBytes(memory.shmemBytes)],
        ['peak', plimsoll.formatBytes(memory.peakRssBytes)],
    ]),
];

/** What the program is, and its verbs. */
function programHelp(page, verbs) {
    return [
        'Memory budgets and a streaming GGUF loader for small boards.',
        '',
        heading(page, 'Usage', 'plimsoll VERB [options]'),
        '',
        ...facts(page, verbs.map((verb) => [called(verb), verb.summary])),
        '',
        heading(page, 'Options'),
        '',
        ...facts(page, [
            ['--json', 'after a verb: print one JSON document and nothing else'],
            ['--help', 'print this help; after a verb, the help of the verb'],
            ['--version', 'print the version of the package'],
        ]),
        '',
        ...exitCodes(page),
    ];
}
/** A verb and its options. */
function verbHelp(page, verb) {
    const options = { ...verb.options, ...commonOptions };
    return [
        `${verb.summary[0]?.toUpperCase()}${verb.summary.slice(1)}.`,
        '',
        heading(page, 'Usage', `plimsoll ${called(verb)} [options]`),
        '',
        ...facts(page, Object.entries(options).map(([name, option]) => [flag(name, option), option.help])),
        '',
        ...exitCodes(page),
    ];
}
const exitCodes = (page) => [
    heading(page, 'Exit codes'),
    '',
    ...facts(page, exitCodeHelp.map(([code, meaning]) => [String(code), meaning])),
];
const called = (verb) => (verb.operand ? `${verb.name} ${verb.operand}` : verb.name);
const flag = (name, { value, multiple }) => `--${name}${value ? ` ${value}` : ''}${multiple ? ' ...' : ''}`;

/** Opens the file of a command; one that cannot be opened is broken input. */
function openInput(open) {
    try {
        return open();
    }
    catch (error) {
        throw error instanceof plimsoll.IoError ? new InputError(error) : error;
    }
}

/** How many elements of an array stand for all of them. */
const FIRST = 8;
/** A value for `--json`. What JSON has no number for is a string: big integers, `"NaN"`, `"Infinity"`. */
function documentOf(value) {
    if (value instanceof plimsoll.GgufArray)
        return summaryOf(value);
    if (typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value)))
        return String(value);
    return value;
}
const summaryOf = (array) => ({
    elementType: array.elementType,
    length: array.length,
    first: firstOf(array).map(documentOf),
});
const firstOf = (array) => Array.from(array.slice(0, FIRST));
/** The type of a value for people: `u32`, `string[768]`. */
function typeOf(metadata, key) {
    const value = metadata.get(key);
    return value instanceof plimsoll.GgufArray ? arrayType(value) : String(metadata.type(key));
}
const arrayType = (array) => `${array.elementType}[${array.length}]`;
/** A value for people, on one line. */
function textOf(value, type) {
    if (value instanceof plimsoll.GgufArray)
        return arrayText(value);
    if (typeof value === 'string')
        return visible(value);
    return type === 'f32' ? shortFloat(value) : String(value);
}
function arrayText(array) {
    const elements = firstOf(array).map((element) => elementText(element, array.elementType));
    return [...elements, ...(array.length > FIRST ? ['…'] : [])].join(', ');
}
function elementText(element, type) {
    if (element instanceof plimsoll.GgufArray)
        return arrayType(element);
    return typeof element === 'string' ? `"${visible(element)}"` : textOf(element, type);
}
/** The shortest decimal that is read back as the same 32-bit float: 0.00001, not 0.000009999999747378752. */
function shortFloat(value) {
    for (let digits = 6; digits < 9; digits += 1) {
        const short = Number(value.toPrecision(digits));
        if (Math.fround(short) === value)
            return String(short);
    }
    return String(Number(value.toPrecision(9)));
}

const inspect = {
    name: 'inspect',
    operand: 'FILE',
    summary: 'what is in a GGUF file: metadata, tensors, totals by type',
    options: {
        'header-only': {
            type: 'boolean',
            help: 'the tensor data is not there: check no ranges against the size of the file',
        },
    },
    run: run$1,
};
function run$1(args) {
    const { file } = args;
    const headerOnly = args.flag('header-only');
    const model = openInput(() => plimsoll.GgufFile.open(file, { headerOnly }));
    const totals = totalsOf(model.tensors);
    return {
        document: documentOfModel(model, totals),
        lines: (page) => [
            ...overview(page, model),
            '',
            ...metadataSection(page, model),
            '',
            ...tensorSection(page, model.tensors),
            '',
            ...totalSection(page, totals),
        ],
    };
}
/** Totals by type, the largest first. */
function totalsOf(tensors) {
    const totals = new Map();
    for (const { type, elementCount, sizeBytes } of tensors) {
        const total = totals.get(type) ?? { type, tensorCount: 0, elementCount: 0, sizeBytes: 0 };
        total.tensorCount += 1;
        total.elementCount += elementCount;
        total.sizeBytes += sizeBytes;
        totals.set(type, total);
    }
    return [...totals.values()].sort((a, b) => b.sizeBytes - a.sizeBytes);
}
const sumOf = (totals) => ({
    type: 'all',
    tensorCount: sum(totals.map((total) => total.tensorCount)),
    elementCount: sum(totals.map((total) => total.elementCount)),
    sizeBytes: sum(totals.map((total) => total.sizeBytes)),
});
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const nameOf = (model) => {
    const name = model.metadata.get('general.name');
    return typeof name === 'string' ? name : undefined;
};
const documentOfModel = (model, types) => ({
    path: model.path,
    sizeBytes: model.sizeBytes,
    headerOnly: model.headerOnly,
    version: model.version,
    architecture: model.architecture ?? null,
    name: nameOf(model) ?? null,
    fileType: model.fileType ?? null,
    split: model.split ?? null,
    alignmentBytes: model.alignmentBytes,
    dataOffsetBytes: model.dataOffsetBytes,
    dataBytes: model.dataBytes,
    metadataCount: model.metadata.size,
    tensorCount: model.tensors.length,
    metadata: Object.fromEntries(Array.from(model.metadata, ([key, value]) => [key, { type: model.metadata.type(key), value: documentOf(value) }])),
    tensors: model.tensors,
    types,
});
function overview(page, model) {
    const { fileType, split, architecture } = model;
    const name = nameOf(model);
    return [
        heading(page, visible(node_path.basename(model.path))),
        '',
        ...facts(page, [
            ['name', name && visible(name)],
            ['architecture', architecture && visible(architecture)],
            ['file type', fileType && (fileType.name ?? `unknown (${fileType.id})`)],
            ['part', split && `${split.number + 1} of ${split.count}`],
            ['version', String(model.version)],
            ['file', plimsoll.formatBytes(model.sizeBytes)],
            ['data', `${plimsoll.formatBytes(model.dataBytes)}, from byte ${grouped(model.dataOffsetBytes)}`],
            ['alignment', plimsoll.formatBytes(model.alignmentBytes)],
        ]),
    ];
}
const metadataSection = (page, { metadata }) => [
    heading(page, 'Metadata', grouped(metadata.size)),
    '',
    ...table(page, [{ title: 'key' }, { title: 'type', style: 'dim' }, { title: 'value' }], Array.from(metadata, ([key, value]) => [visible(key), typeOf(metadata, key), textOf(value, metadata.type(key))])),
];
const tensorSection = (page, tensors) => [
    heading(page, 'Tensors', grouped(tensors.length)),
    '',
    ...table(page, [
        { title: 'name' },
        { title: 'type', style: 'dim' },
        { title: 'dimensions', align: 'right' },
        { title: 'size', align: 'right' },
        { title: 'offset', align: 'right', style: 'dim' },
    ], tensors.map((tensor) => [
        visible(tensor.name),
        tensor.type,
        tensor.dimensions.map(String).join(' × ') || 'scalar',
        plimsoll.formatBytes(tensor.sizeBytes),
        grouped(tensor.offsetBytes),
    ])),
];
const totalSection = (page, totals) => [
    heading(page, 'Types'),
    '',
    ...table(page, [
        { title: 'type' },
        { title: 'tensors', align: 'right' },
        { title: 'elements', align: 'right' },
        { title: 'size', align: 'right' },
        { title: 'bits per element', align: 'right', style: 'dim' },
    ], [...totals, sumOf(totals)].map((total) => [
        total.type,
        grouped(total.tensorCount),
        grouped(total.elementCount),
        plimsoll.formatBytes(total.sizeBytes),
        total.elementCount > 0 ? ((total.sizeBytes * 8) / total.elementCount).toFixed(2) : '',
    ])),
];

/** A signal that aborts at the first Ctrl-C. The second one ends the process as it would have without us. */
function untilInterrupted() {
    const controller = new AbortController();
    process.once('SIGINT', () => controller.abort());
    return controller.signal;
}

const plain = (_, text) => text;
// The stream was asked before, so the text must not be checked against another one.
const coloured = (style, text) => node_util.styleText(style, text, { validateStream: false });
/**
 * Colours for a terminal that has them and whose user has not set `NO_COLOR`; plain text for anything else. A terminal
 * answers for `NO_COLOR` and `TERM=dumb` itself, see `tty.WriteStream.hasColors`.
 */
const paintFor = (stream) => (stream.isTTY && stream.hasColors() ? coloured : plain);

/** Redrawing faster than the eye follows only takes time from the load. */
const INTERVAL_MS = 100;
const BAR_CELLS = 24;
const ERASE_LINE = '\r\x1b[K';
const silent = { report: () => { }, end: () => { } };
/** A line on stderr that redraws itself; nothing where stderr is no terminal or one that cannot redraw. */
function progressOn(stream) {
    if (!stream.isTTY || process.env.TERM === 'dumb')
        return silent;
    const paint = paintFor(stream);
    const start = performance.now();
    let drawn = Number.NEGATIVE_INFINITY;
    return {
        report: ({ tensor, doneBytes, totalBytes }) => {
            const now = performance.now();
            if (now - drawn < INTERVAL_MS)
                return;
            drawn = now;
            const share = totalBytes > 0 ? doneBytes / totalBytes : 1;
            const filled = Math.floor(share * BAR_CELLS);
            const bar = paint('green', '━'.repeat(filled)) + paint('dim', '─'.repeat(BAR_CELLS - filled));
            const percent = `${Math.floor(share * 100)} %`.padStart(5);
            const rate = plimsoll.formatBytes(Math.round((doneBytes * 1000) / Math.max(now - start, 1)));
            const figures = `${percent}  ${plimsoll.formatBytes(doneBytes)} of ${plimsoll.formatBytes(totalBytes)}, ${rate}/s`;
            const left = (stream.columns || 80) - BAR_CELLS - figures.length - 7;
            const name = left > 0 ? clip(visible(tensor), left) : '';
            stream.write(`${ERASE_LINE}  ${bar} ${figures}  ${paint('dim', name)}`);
        },
        end: () => {
            if (drawn > 0)
                stream.write(ERASE_LINE);
        },
    };
}

var __addDisposableResource = (undefined && undefined.__addDisposableResource) || function (env, value, async) {
    if (value !== null && value !== void 0) {
        if (typeof value !== "object" && typeof value !== "function") throw new TypeError("Object expected.");
        var dispose, inner;
        if (async) {
            if (!Symbol.asyncDispose) throw new TypeError("Symbol.asyncDispose is not defined.");
            dispose = value[Symbol.asyncDispose];
        }
        if (dispose === void 0) {
            if (!Symbol.dispose) throw new TypeError("Symbol.dispose is not defined.");
            dispose = value[Symbol.dispose];
            if (async) inner = dispose;
        }
        if (typeof dispose !== "function") throw new TypeError("Object not disposable.");
        if (inner) dispose = function() { try { inner.call(this); } catch (e) { return Promise.reject(e); } };
        env.stack.push({ value: value, dispose: dispose, async: async });
    }
    else if (async) {
        env.stack.push({ async: true });
    }
    return value;
};
var __disposeResources = (undefined && undefined.__disposeResources) || (function (SuppressedError) {
    return function (env) {
        function fail(e) {
            env.error = env.hasError ? new SuppressedError(e, env.error, "An error was suppressed during disposal.") : e;
            env.hasError = true;
        }
        var r, s = 0;
        function next() {
            while (r = env.stack.pop()) {
                try {
                    if (!r.async && s === 1) return s = 0, env.stack.push(r), Promise.resolve().then(next);
                    if (r.dispose) {
                        var result = r.dispose.call(r.value);
                        if (r.async) return s |= 2, Promise.resolve(result).then(next, function(e) { fail(e); return next(); });
                    }
                    else s |= 1;
                }
                catch (e) {
                    fail(e);
                }
            }
            if (s === 1) return env.hasError ? Promise.reject(env.error) : Promise.resolve();
            if (env.hasError) throw env.error;
        }
        return next();
    };
})(typeof SuppressedError === "function" ? SuppressedError : function (error, suppressed, message) {
    var e = new Error(message);
    return e.name = "SuppressedError", e.error = error, e.suppressed = suppressed, e;
});
const load = {
    name: 'load',
    operand: 'FILE',
    summary: 'stream every tensor through the loader: progress, throughput, peak memory',
    options: {
        as: { type: 'string', value: 'raw|f32|f16', help: 'the form of the data (raw)' },
        chunk: { type: 'string', value: 'SIZE', help: 'the most bytes of data in a chunk (1MiB)' },
        tensor: { type: 'string', value: 'NAME', multiple: true, help: 'load only this tensor; may be repeated' },
        ...lineOptions,
    },
    run: async (args) => {
        const loaded = await measuredLoad(args);
        return { document: loaded, lines: (page) => lines(page, loaded) };
    },
};
async function measuredLoad(args) {
    const env_1 = { stack: [], error: void 0, hasError: false };
    try {
        const { file } = args;
        const as = args.oneOf('as', plimsoll.tensorOutputs) ?? 'raw';
        const chunkBytes = args.size('chunk') ?? plimsoll.MiB;
        const bounds = lineFrom(args);
        measuredMachine();
        const signal = untilInterrupted();
        const startRssBytes = plimsoll.processMemory().rssBytes;
        const manager = __addDisposableResource(env_1, new plimsoll.MemoryManager(bounds), true);
        const model = __addDisposableResource(env_1, openInput(() => manager.open(file)), false);
        const names = args.list('tensor');
        const tensors = chosen(model, names);
        const reservedBytes = dataBytesOf(tensors, as);
        const counts = await reservedStream(manager, model, {
            as,
            chunkBytes,
            tensors,
            named: names !== undefined,
            reservedBytes,
            signal,
        });
        await manager.close();
        return {
            path: file,
            as,
            chunkBytes,
            line: lineOf(manager.budget),
            reservedBytes,
            tensorCount: tensors.length,
            ...counts,
            startRssBytes,
            peakRssBytes: plimsoll.processMemory().peakRssBytes,
            balanceBytes: manager.budget.allocatedBytes,
        };
    }
    catch (e_1) {
        env_1.error = e_1;
        env_1.hasError = true;
    }
    finally {
        const result_1 = __disposeResources(env_1);
        if (result_1)
            await result_1;
    }
}
/** The tensors named, in the order of their names; all of the file if none is. */
function chosen(model, names) {
    if (names === undefined)
        return model.tensors;
    return [...new Set(names)].map((name) => {
        const tensor = model.tensor(name);
        if (tensor)
            return tensor;
        const known = model.tensors.map((each) => each.name);
        const hint = known.length > 0 ? `; did you mean "${nearest(name, known)}"?` : '';
        throw new UsageError(`unknown tensor "${name}"${hint}`);
    });
}
/** What the tensors take in the form asked for: what a program that keeps them has to reserve. */
const dataBytesOf = (tensors, as) => tensors.reduce((sum, tensor) => sum + plimsoll.tensorDataBytes(tensor, as), 0);
/** Streams the tensors while their bytes are reserved, and counts what came. */
async function reservedStream(manager, model, request) {
    const env_2 = { stack: [], error: void 0, hasError: false };
    try {
        const { as, chunkBytes, tensors, named, signal } = request;
        const _weights = __addDisposableResource(env_2, manager.budget.allocate(request.reservedBytes, 'weights'), false);
        const totalBytes = dataBytesOf(tensors, 'raw');
        const progress = progressOn(process.stderr);
        const counts = { chunks: 0, storedBytes: 0, dataBytes: 0 };
        const start = performance.now();
        try {
            const names = named ? { tensors: tensors.map((tensor) => tensor.name) } : {};
            for await (const chunk of model.stream({ as, chunkBytes, ...names, signal })) {
                counts.chunks += 1;
                counts.storedBytes += chunk.byteEnd - chunk.byteStart;
                counts.dataBytes += chunk.data.byteLength;
                progress.report({ tensor: chunk.tensor, doneBytes: counts.storedBytes, totalBytes });
            }
        }
        finally {
            progress.end();
        }
        const durationMs = performance.now() - start;
        return { ...counts, durationMs, bytesPerSecond: Math.round((counts.storedBytes * 1000) / durationMs) };
    }
    catch (e_2) {
        env_2.error = e_2;
        env_2.hasError = true;
    }
    finally {
        __disposeResources(env_2);
    }
}
const lines = (page, loaded) => [
    heading(page, visible(node_path.basename(loaded.path)), `loaded as ${loaded.as}, in chunks of ${plimsoll.formatBytes(loaded.chunkBytes)}`),
    '',
    ...facts(page, [
        ['tensors', grouped(loaded.tensorCount)],
        ['chunks', grouped(loaded.chunks)],
        ['stored', plimsoll.formatBytes(loaded.storedBytes)],
        ['data', plimsoll.formatBytes(loaded.dataBytes)],
        ['time', `${(loaded.durationMs / 1000).toFixed(loaded.durationMs < 10_000 ? 3 : 1)} s`],
        ['throughput', `${plimsoll.formatBytes(loaded.bytesPerSecond)}/s of stored data`],
        [
            'peak RSS',
            `${plimsoll.formatBytes(loaded.peakRssBytes)}, ${plimsoll.formatBytes(Math.max(loaded.peakRssBytes - loaded.startRssBytes, 0))} more than at the start`,
        ],
        ['reserved', `${plimsoll.formatBytes(loaded.reservedBytes)} of a line of ${plimsoll.formatBytes(loaded.line.lineBytes)}`],
        ['balance', `${plimsoll.formatBytes(loaded.balanceBytes)} after close`],
    ]),
];

/** Columns of a page that is no terminal, or of one that does not say. */
const DEFAULT_WIDTH = 120;
const pageFor = (stream) => ({
    paint: paintFor(stream),
    width: stream.columns || DEFAULT_WIDTH,
});
const printLines = (lines) => {
    process.stdout.write(`${lines.join('\n')}\n`);
};
/** Characters that JSON leaves as they are and a terminal may obey; line feeds are the document's own. */
const unescaped = /(?!\n)[\p{Cc}\p{Cf}]/gu;
const printDocument = (document) => {
    process.stdout.write(`${JSON.stringify(document, null, 2).replace(unescaped, unicodeEscape)}\n`);
};
/** Tells on stderr what went wrong. */
function printError(who, message) {
    const { paint } = pageFor(process.stderr);
    process.stderr.write(`${paint('red', `${who}:`)} ${visible(message)}\n`);
}
/** A reader that has seen enough, as in `plimsoll inspect FILE | head`, is no trouble; a full disk is. */
function watchOutput() {
    process.stderr.on('error', () => { });
    process.stdout.on('error', (error) => {
        if (error.code === 'EPIPE')
            return;
        printError('plimsoll', `expected to write to stdout, but ${error.message}`);
        process.exit(Exit.trouble);
    });
}

/** Every verb of the command line, in the order of the help. */
const verbs = [doctor, inspect, load];
async function main(argv) {
    const [first, ...rest] = argv;
    try {
        if (first === '--help')
            return say(programHelp(pageFor(process.stdout), verbs));
        if (first === '--version')
            return say([packageVersion()]);
        return await run(verbCalled(first), rest);
    }
    catch (error) {
        return fail(error, argv);
    }
}
async function run(verb, argv) {
    const args = parse(verb, argv);
    if (args.flag('help'))
        return say(verbHelp(pageFor(process.stdout), verb));
    const report = await verb.run(args);
    if (!args.flag('json'))
        return say(report.lines(pageFor(process.stdout)));
    printDocument(report.document);
    return Exit.fine;
}
function say(lines) {
    printLines(lines);
    return Exit.fine;
}
function verbCalled(name) {
    const names = verbs.map((verb) => verb.name);
    if (name === undefined)
        throw new UsageError(`expected a verb: ${names.join(', ')}; plimsoll --help says more`);
    const verb = verbs.find((each) => each.name === name);
    if (verb)
        return verb;
    const isOption = name.startsWith('-');
    const hint = nearest(name, isOption ? ['--help', '--version'] : names);
    throw new UsageError(`unknown ${isOption ? 'option' : 'verb'} "${name}"; did you mean "${hint}"?`);
}
/** Tells what went wrong and with which code the process ends. `--json` counts even where the rest is unreadable. */
function fail(error, argv) {
    const told = tell(error);
    if (!told) {
        process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
        return Exit.trouble;
    }
    const verb = verbs.find((each) => each.name === argv[0]);
    printError(verb ? `plimsoll ${verb.name}` : 'plimsoll', told.message);
    if (argv.includes('--json'))
        printDocument(told.document);
    return told.exitCode;
}
watchOutput();
main(process.argv.slice(2)).then((exitCode) => {
    process.exitCode = exitCode;
});
