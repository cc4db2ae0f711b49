#!/usr/bin/env node
'use strict';

const node_util = require('node:util');
const fastestLevenshtein = require('fastest-levenshtein');
const node_fs = require('node:fs');
const node_os = require('node:os');
const node_path = require('node:path');
const promises = require('node:timers/promises');
const promises$1 = require('node:fs/promises');
const node_perf_hooks = require('node:perf_hooks');
require('node:url');

const plimsoll = new Proxy({}, { get: (_, name) => require('./index.js')[name] });

/** What the exit codes of the command line mean. */
const Exit = {
    /** It fits, it is fine. */
    fine: 0,
    /** What was asked for does not fit under the line, or into a pool. */
    doesNotFit: 1,
    /** The command itself is wrong: an unknown verb or option, an unfit value, a tensor that is not in the file. */
    wrongUse: 2,
    /** The file cannot be opened, is not what the verb reads, or holds a tensor that does not convert. */
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

/** What the command line finds out by itself. */
class CommandError extends Error {
}
/** The command was written wrongly. */
class UsageError extends CommandError {
    code = 'ERR_INVALID_ARGUMENT';
    exitCode = Exit.wrongUse;
}
/** What should be a folder with a board's files is none. */
class TreeError extends CommandError {
    code = 'ERR_IO';
    exitCode = Exit.brokenInput;
}
/** A file cannot be read, for its own sake or for the system's. */
class FileError extends CommandError {
    code = 'ERR_IO';
    exitCode;
    constructor(message, exitCode) {
        super(message);
        this.exitCode = exitCode;
    }
}
/** A line of a trace is not what a pool writes, or does not follow from the lines before it. */
class TraceError extends CommandError {
    code = 'ERR_INVALID_TRACE';
    exitCode = Exit.brokenInput;
    line;
    expected;
    received;
    constructor(line, expected, received) {
        super(`expected line ${line} to be ${expected}, got ${received}`);
        this.line = line;
        this.expected = expected;
        this.received = received;
    }
}
/** The file cannot be opened, which says more about the file than about the system. `cause` is the error. */
class InputError extends Error {
    exitCode = Exit.brokenInput;
    constructor(cause) {
        super(cause.message, { cause });
    }
}
/** What should be a snapshot of a pool is none. */
class SnapshotError extends CommandError {
    code = 'ERR_INVALID_SNAPSHOT';
    exitCode = Exit.brokenInput;
    expected;
    received;
    constructor({ argument, expected, received }) {
        super(`expected ${argument === 'text' ? 'FILE' : argument} to be ${expected}, got ${received}`);
        this.expected = expected;
        this.received = received;
    }
}
/** What a command would take is more than it should, on this machine and now. */
class NoRoomError extends CommandError {
    code = 'ERR_INSUFFICIENT_MEMORY';
    exitCode = Exit.doesNotFit;
    availableBytes;
    requestedBytes;
    constructor(message, availableBytes, requestedBytes) {
        super(message);
        this.availableBytes = availableBytes;
        this.requestedBytes = requestedBytes;
    }
}
/** The system does not give what the command needs. */
class SystemError extends CommandError {
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
    ERR_DEVICE: Exit.trouble,
    ERR_DEVICE_UNAVAILABLE: Exit.trouble,
    ERR_BUSY: Exit.trouble,
    ERR_ADDON_UNAVAILABLE: Exit.trouble,
    ABORT_ERR: Exit.interrupted,
};
/** What an error means for whoever ran the command; `undefined` for one that nobody foresaw. */
function tell(error) {
    if (error instanceof CommandError) {
        const { exitCode, ...details } = error;
        return { exitCode, message: error.message, document: { error: { ...details, message: error.message } } };
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
    initialBytes: '--initial',
    maxBytes: '--max',
    pageBytes: '--page',
    path: 'FILE',
    pid: '--pid',
    safetyMarginPercent: '--margin',
    slabBytes: '--slab',
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
/** All options of a verb, its own first. It may tell of a common one in its own words. */
const optionsOf = (verb) => ({ ...verb.options, ...commonOptions, ...verb.options });
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
    text(name) {
        return this.#values[name];
    }
    /** A whole number from 1 up. */
    count(name) {
        const number = this.number(name);
        if (number === undefined || (Number.isSafeInteger(number) && number > 0))
            return number;
        throw new UsageError(`expected --${name} to be a whole number from 1 up, got "${this.text(name)}"`);
    }
    /** A time in milliseconds, as long as a monitor takes it. */
    duration(name) {
        const text = this.text(name);
        if (text === undefined)
            return undefined;
        const [, number, unit] = /^(\d+(?:\.\d+)?) ?(ms|s|min)$/.exec(text.trim()) ?? [];
        const ms = Number(number) * { ms: 1, s: 1000, min: 60_000 }[unit];
        if (ms >= 10 && ms <= 3_600_000)
            return ms;
        throw new UsageError(`expected --${name} to be a time from 10ms to 60min, such as 500ms or 2s, got "${text}"`);
    }
    number(name) {
        const text = this.text(name);
        if (text === undefined)
            return undefined;
        const number = text.trim() === '' ? Number.NaN : Number(text);
        if (Number.isFinite(number))
            return number;
        throw new UsageError(`expected --${name} to be a number, got "${text}"`);
    }
    /** A size in bytes. */
    size(name) {
        const text = this.text(name);
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
        const text = this.text(name);
        if (text === undefined || allowed.includes(text))
            return text;
        throw new UsageError(`unknown value "${text}" of --${name}; did you mean "${nearest(text, allowed)}"?`);
    }
}
/** The word of a list that a misspelt one was probably meant to be. */
const nearest = (word, known) => fastestLevenshtein.closest(word, known);
/** Reads what follows the verb. */
function parse(verb, argv) {
    const options = optionsOf(verb);
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

/** Kinds that are opened at no cost: they take no lock, and no driver's time or memory. */
const cheap = ['host', 'dma-heap', 'udmabuf'];
/**
 * Opens what is there and costs nothing; of `all` also CUDA, whose driver takes its time and memory. Rockchip's own
 * driver is never opened: that takes its lock.
 */
const opened = (backEnds, all) => Promise.all(backEnds.map(async (backEnd) => {
    // Its library may lie where only the driver's own search finds it.
    const asked = backEnd.kind === 'cuda' ? all : backEnd.available && cheap.includes(backEnd.kind);
    return asked ? { ...backEnd, ...(await openedOne(backEnd)) } : backEnd;
}));
async function openedOne({ kind, available }) {
    try {
        const device = await plimsoll.Device.open(kind);
        return { device: { name: device.name, limits: device.limits, usage: device.usage(), remarks: device.remarks() } };
    }
    catch (error) {
        if (!(error instanceof plimsoll.PlimsollError))
            throw error;
        return available ? { refusal: error.message } : {};
    }
}
/** What `'auto'` takes now. */
async function autoChoice() {
    const { kind, passedOver } = await plimsoll.Device.open('auto');
    return { kind, passedOver };
}
const byName = [
    { kind: 'rknpu', reason: 'it is taken by name only: two programs at once have crashed boards' },
    { kind: 'udmabuf', reason: 'it is taken by name only: for buffers of drivers that a cgroup must count' },
];
/** What `'auto'` would take if every back end that seems to be there can be opened. */
function likelyChoice(backEnds, vendor) {
    const of = (kind) => backEnds.find((backEnd) => backEnd.kind === kind);
    const missing = (kind) => of(kind)?.available ? undefined : (of(kind)?.reason ?? 'no reason is known');
    const unused = vendor === 'Rockchip' ? undefined : 'nothing on this board is known to import its buffers';
    const refusals = { cuda: missing('cuda'), 'dma-heap': unused ?? missing('dma-heap'), host: undefined };
    const ranks = ['cuda', 'dma-heap', 'host'];
    const chosen = ranks.find((kind) => refusals[kind] === undefined) ?? 'host';
    const later = `${chosen} comes before it, and is there`;
    const others = ranks.filter((kind) => kind !== chosen);
    const passedOver = others.map((kind, rank) => ({
        kind,
        reason: (rank < ranks.indexOf(chosen) ? refusals[kind] : undefined) ?? later,
    }));
    return { kind: chosen, passedOver: [...byName, ...passedOver] };
}

/** Characters that act on a terminal instead of showing: controls, and marks that turn the direction of writing. */
const invisible = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
/** A text of unknown origin as one line that only shows: names and values in a file can hold commands to a terminal. */
const visible = (text) => text.replace(invisible, (character) => shortEscapes[character] ?? unicodeEscape(character));
const shortEscapes = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };
/** The same of a text's beginning, for texts of any length; the end of one that is longer shows as `…`. */
function beginning(text, width) {
    return clip(visible(text.slice(0, 2 * width + 2)), width);
}
/** The JSON escape of every UTF-16 unit. */
function unicodeEscape(text) {
    let escapes = '';
    for (let i = 0; i < text.length; i++)
        escapes += `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`;
    return escapes;
}
/** A text shortened to a number of characters. */
function clip(text, width) {
    // Characters are at most two units each, so what lies beyond need not be counted.
    const characters = [...text.slice(0, 2 * width + 2)];
    return characters.length <= width ? text : `${characters.slice(0, Math.max(width - 1, 0)).join('')}…`;
}
/** A text as lines of at most that many characters, broken between words where it can be. */
function wrap(text, width) {
    const lines = [];
    let line = [];
    for (const word of text.split(' ').map((each) => [...each])) {
        if (line.length > 0 && line.length + 1 + word.length > width) {
            lines.push(line.join(''));
            line = [];
        }
        line = line.length > 0 ? [...line, ' ', ...word] : word;
        for (; line.length > width; line = line.slice(width))
            lines.push(line.slice(0, width).join(''));
    }
    return [...lines, line.join('')];
}
/** A number with its thousands set apart: `2,042,464`. */
const grouped = (number) => number.toLocaleString('en-US');
/** A share of a whole for people: `12.3 %`. */
const percent = (share) => `${share.toFixed(1)} %`;

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
/** Names with texts of any length beside them. */
function entries(page, style, all) {
    const indent = Math.max(...all.map(({ name }) => length(name))) + 2 * GAP.length;
    const room = Math.max(page.width - indent, MIN_LAST);
    return all.flatMap(({ name, text, command }) => {
        const [first = '', ...rest] = wrap(text, room);
        const title = page.paint(style, name) + ' '.repeat(indent - GAP.length - length(name));
        const below = rest.map((line) => ' '.repeat(indent) + line);
        return [
            (GAP + title + first).trimEnd(),
            ...below,
            ...(command ? [`${' '.repeat(indent)}${page.paint('bold', `$ ${command}`)}`] : []),
        ];
    });
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

/** What bounds headroom, as a table. The mark stands at the bound with the least room. */
function boundTable(page, { terms, bindingTerm }) {
    const binding = terms.findIndex((term) => term.kind === bindingTerm.kind && term.path === bindingTerm.path);
    return table(page, [
        { title: '', style: 'green' },
        { title: 'bound' },
        { title: 'room', align: 'right' },
        { title: 'floor', align: 'right', style: 'dim' },
        { title: 'in use', align: 'right' },
        { title: 'what it is' },
    ], terms.map((term, i) => [
        i === binding ? '▸' : '',
        term.kind,
        plimsoll.formatBytes(term.roomBytes),
        plimsoll.formatBytes(term.floorBytes),
        percent(term.usedPercent),
        visible(term.description),
    ]));
}

/** What is known of device memory, as texts under the names of its kinds. */
const deviceEntries = (found) => [
    ...found.backEnds.flatMap((backEnd) => [stateOf(backEnd), ...textsOf(backEnd, found.devices).map(unnamed)]),
    ...autoEntries(found),
];
const unnamed = (text) => ({ name: '', text: visible(text) });
function stateOf({ kind, available, paths, reason, remedy, device, refusal }) {
    const where = paths.length > 0 ? `: ${paths.join(', ')}` : '';
    const text = available || device ? `available${where}` : `not available: ${reason ?? 'no reason is known'}`;
    return { name: kind, text: visible(refusal === undefined ? text : `cannot be opened: ${refusal}`), command: remedy };
}
function textsOf({ kind, device }, full) {
    if (device === undefined)
        return [];
    const name = device.name === kind ? [] : [device.name];
    return [...name, ...(full ? figuresOf(device) : []), ...device.remarks];
}
const figuresOf = ({ limits, usage }) => {
    const room = roomText(usage);
    return [`${limitText(limits)}; ${traits(limits).join(', ')}`, ...(room ? [room] : [])];
};
const limitText = ({ granuleBytes, slabBytes, largestBytes, powersOfTwo }) => `slabs of ${plimsoll.formatBytes(slabBytes)} or more${largestBytes === undefined ? '' : `, at most ${plimsoll.formatBytes(largestBytes)}`}, ` +
    (powersOfTwo ? 'in powers of two' : `in multiples of ${plimsoll.formatBytes(granuleBytes)}`);
const traits = ({ zeroed, mappable, needsSync, exportable }) => [
    zeroed ? 'fresh memory reads zero' : 'fresh memory is not cleared',
    mappable ? `mappable${needsSync ? ', synchronised as maps begin and end' : ''}` : 'not mappable',
    exportable ? 'exportable' : 'not exportable',
];
function roomText({ totalBytes, freeBytes, largestFreeBytes }) {
    const room = [
        ['in all', totalBytes],
        ['free', freeBytes],
        ['in one piece', largestFreeBytes],
    ];
    const known = room.filter((each) => each[1] !== undefined);
    return known.map(([words, bytes]) => `${plimsoll.formatBytes(bytes)} ${words}`).join(', ');
}
/** Of what is not available, the reason is told already. */
function autoEntries({ backEnds, auto: { kind, passedOver }, devices }) {
    const isThere = (kind) => backEnds.some((backEnd) => backEnd.kind === kind && backEnd.available);
    const others = passedOver.filter((passed) => isThere(passed.kind));
    return [
        { name: 'auto', text: `${devices ? 'takes' : 'would take'} ${kind}` },
        ...others.map(({ kind: other, reason }) => unnamed(`not ${other}: ${reason}`)),
    ];
}

/** What a signal is called. */
const names = {
    memory: 'memory',
    cgroups: 'cgroups',
    pressure: 'pressure',
    zram: 'zram',
    process: 'process',
    largestFreeRunBytes: 'largest free run',
    freeHugeBlockCount: 'blocks of 2 MiB',
    dark: 'dark memory',
    oomKillCount: 'kills',
    hugePages: 'huge pages',
    transparentHugePages: 'transparent huge pages',
    nvmapClients: 'GPU memory',
    npuDriver: 'NPU',
};
/** Every signal with its value in a few words, or with the reason why it is not there. */
function signalEntries(signals) {
    return Object.entries(names).flatMap(([key, name]) => {
        const reasons = signals.missing.filter(({ signal }) => signal === key);
        // What is there may be known in part alone.
        const state = signals[key] === undefined ? 'not available' : 'not certain';
        const missing = reasons.map(({ reason }) => `${state}: ${reason}`);
        const texts = [...wordsOf(signals, key), ...missing];
        return texts.map((text, i) => ({ name: i === 0 ? name : '', text: visible(text) }));
    });
}
/** A line or more about a signal; none where it is not there. */
function wordsOf(signals, key) {
    const words = {
        memory: memoryWords,
        cgroups: (cgroups) => (cgroups.length > 0 ? cgroups.map(cgroupWords) : 'none has a memory controller'),
        pressure: pressureWords,
        zram: zramWords,
        process: ({ rssBytes }) => `${plimsoll.formatBytes(rssBytes)} resident`,
        largestFreeRunBytes: (bytes) => `${plimsoll.formatBytes(bytes)} in one piece`,
        freeHugeBlockCount: blockWords,
        dark: darkWords,
        oomKillCount: (count) => `${count} by the kernel's killer since the start`,
        hugePages: hugePageWords,
        transparentHugePages: (word) => word,
        nvmapClients: nvmapWords,
        npuDriver: ({ version, loadPercent }) => `driver ${version}, cores at ${loadPercent.map((p) => `${p} %`).join(', ')}`,
    };
    const value = signals[key];
    return value === undefined ? [] : [words[key](value)].flat();
}
function memoryWords(memory) {
    const { cmaTotalBytes, cmaFreeBytes, shmemBytes, mappedFileBytes, nvmapUsedBytes } = memory;
    return [
        `${plimsoll.formatBytes(memory.totalBytes)}, ${plimsoll.formatBytes(memory.availableBytes)} available`,
        swapWords(memory),
        ...(cmaTotalBytes && cmaFreeBytes !== undefined
            ? [`${plimsoll.formatBytes(cmaTotalBytes)} contiguous (CMA), ${plimsoll.formatBytes(cmaFreeBytes)} of it free and not headroom`]
            : []),
        ...(mappedFileBytes === undefined
            ? []
            : [`${plimsoll.formatBytes(mappedFileBytes)} of files that processes have mapped: available, and not headroom`]),
        ...(shmemBytes === undefined ? [] : [`${plimsoll.formatBytes(shmemBytes)} shared: tmpfs, memfd, most driver memory`]),
        ...(nvmapUsedBytes === undefined ? [] : [`${plimsoll.formatBytes(nvmapUsedBytes)} held by the GPU and engines`]),
    ];
}
/** Swap in a few words. */
function swapWords({ swapTotalBytes, swapFreeBytes }) {
    if (swapTotalBytes === undefined)
        return 'swap unknown';
    if (swapTotalBytes === 0)
        return 'no swap';
    const free = swapFreeBytes === undefined ? '' : `, ${plimsoll.formatBytes(swapFreeBytes)} free`;
    return `${plimsoll.formatBytes(swapTotalBytes)} of swap${free}; it never counts`;
}
/** Compressed swap in a few words. */
const zramWords = ({ storedBytes, usedBytes }) => `${plimsoll.formatBytes(storedBytes)} swapped out take ${plimsoll.formatBytes(usedBytes)} of RAM`;
/** Free blocks for drivers in a few words. */
const blockWords = (count) => `${count} free, ${plimsoll.formatBytes(count * 2 * plimsoll.MiB)}`;
/** What no counter owns, in a few words. */
function darkWords({ bytes, growthBytesPerSecond: growth }) {
    const sign = growth !== undefined && growth < 0 ? '-' : '+';
    const grows = growth === undefined ? '' : `, ${sign}${plimsoll.formatBytes(Math.round(Math.abs(growth)))}/s`;
    return `${plimsoll.formatBytes(bytes)} that no counter owns: drivers and the kernel itself${grows}`;
}
/** Stalls in a few words. */
const pressureWords = ({ some, full }) => `some tasks stood still ${some.avg10Percent.toFixed(2)} % of the last 10 s, all of them ${full.avg10Percent.toFixed(2)} %`;
function cgroupWords({ path, version, usageBytes, inactiveFileBytes, ...cgroup }) {
    const { limitBytes, highBytes, oomKillCount } = cgroup;
    return [
        `${path} (v${version}): ${plimsoll.formatBytes(usageBytes)}, ${plimsoll.formatBytes(inactiveFileBytes)} of it reclaimed first`,
        limitBytes === undefined ? 'no limit' : `limit ${plimsoll.formatBytes(limitBytes)}`,
        ...(highBytes === undefined ? [] : [`slowed above ${plimsoll.formatBytes(highBytes)}`]),
        ...(oomKillCount ? [`${oomKillCount} killed`] : []),
    ].join(', ');
}
function hugePageWords(pools) {
    const set = pools.filter(({ totalCount }) => totalCount > 0);
    if (set.length === 0)
        return `none set aside, of ${pools.map(({ pageBytes }) => plimsoll.formatBytes(pageBytes)).join(' or ')}`;
    const words = ({ pageBytes, totalCount, freeCount }) => `${totalCount} of ${plimsoll.formatBytes(pageBytes)}, ${freeCount} of them free`;
    return set.map(words).join('; ');
}
const nvmapWords = (clients) => holderWords(clients.map(({ process, pid, bytes }) => ({ name: process, pid, bytes })));
/** The largest holders stand for all of them. */
function holderWords(holders) {
    const SHOWN = 3;
    const sorted = [...holders].sort((a, b) => (b.bytes ?? 0) - (a.bytes ?? 0));
    const words = ({ name = 'process', pid, bytes }) => `${name} (${pid}) ${bytes === undefined ? 'not told' : plimsoll.formatBytes(bytes)}`;
    const rest = holders.length > SHOWN ? [`${holders.length - SHOWN} more`] : [];
    return holders.length > 0
        ? `held by ${[...sorted.slice(0, SHOWN).map(words), ...rest].join(', ')}`
        : 'held by no process';
}

/** A diagnosis for people. */
function diagnosisPage(page, found, warnings) {
    const { machine, line, process, board } = found;
    const sections = [
        programSection(page, found),
        machine && machineSection(page, machine),
        boardSection(page, found),
        board && boardTable(page, 'Preset', [board]),
        line && lineSection(page, line, machine),
        headroomSection(page, found),
        signalSection(page, found),
        backEndSection(page, found),
        process && processSection(page, process),
        warningSection(page, warnings),
    ];
    return sections
        .filter((section) => section !== undefined)
        .flatMap((section, i) => (i > 0 ? ['', ...section] : section));
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
        ['reads', found.root === undefined ? undefined : `the copy of a machine under ${visible(found.root)}`],
    ]),
];
const addonText = ({ platform, sizeBytes, sha256Verified }) => `${platform}, ${plimsoll.formatBytes(sizeBytes)}${sha256Verified ? ', SHA-256 verified' : ''}`;
const machineSection = (page, { totalBytes, availableBytes, hugePagesBytes, scope, cgroup }) => [
    heading(page, 'Machine'),
    '',
    ...facts(page, [
        ['total', plimsoll.formatBytes(totalBytes)],
        ['available', plimsoll.formatBytes(availableBytes)],
        ['huge pages', hugePagesBytes ? `${plimsoll.formatBytes(hugePagesBytes)} set aside, not in the line` : undefined],
        ['of', scope === 'container' ? 'the container (lxcfs)' : undefined],
        ['cgroup', cgroup ? `${plimsoll.formatBytes(cgroup.limitBytes)}, ${visible(cgroup.path)}` : 'no limit'],
    ]),
];
function boardSection(page, { detected, board, isNamed }) {
    const { vendor, soc, module, l4t, jetpack, kernelRelease, compatible, unifiedMemory } = detected;
    const named = isNamed ? ', named by --board' : '';
    return [
        heading(page, 'Board'),
        '',
        ...facts(page, [
            ['name', visible(detected.name)],
            ['chip', soc && `${vendor} ${soc}`],
            ['module', module && visible(module)],
            ['L4T', l4t && `${visible(l4t)}${jetpack ? `, JetPack ${jetpack}` : ''}`],
            ['kernel', kernelRelease && visible(kernelRelease)],
            [
                'memory',
                unifiedMemory === undefined
                    ? 'of a chip whose accelerators are not known to share it, or not to'
                    : unifiedMemory
                        ? 'shared by the CPU and its accelerators'
                        : 'not shared with accelerators',
            ],
            ['preset', board ? board.id + named : 'none'],
            ['compatible', compatible.length > 0 ? visible(compatible.join(', ')) : undefined],
        ]),
    ];
}
/** Presets under a title. */
const boardTable = (page, title, boards) => [
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
const lineSection = (page, { lineBytes, binding, terms }, machine) => [
    heading(page, 'Line', `${plimsoll.formatBytes(lineBytes)} may be used; the lowest term draws it`),
    '',
    ...table(page, [{ title: '', style: 'green' }, { title: 'term' }, { title: 'bytes', align: 'right' }, { title: 'what it is' }], terms.map((term, i) => [
        i === 0 && term.kind === binding ? '▸' : '',
        term.kind,
        plimsoll.formatBytes(term.bytes),
        visible(term.description),
    ])),
    ...(machine && machine.availableBytes < lineBytes ? ['', shortage(page, machine.availableBytes)] : []),
];
const shortage = (page, availableBytes) => `  ${page.paint('yellow', `Less than the line is free now: ${plimsoll.formatBytes(availableBytes)}.`)}`;
function headroomSection(page, { headroom, nodeAvailableBytes }) {
    if (!headroom)
        return undefined;
    return [
        heading(page, 'Headroom', `${plimsoll.formatBytes(headroom.bytes)} can be given now; the least room decides`),
        '',
        ...boundTable(page, headroom),
        '',
        ...facts(page, [
            ['pending', plimsoll.formatBytes(headroom.pendingBytes)],
            [
                'largest allocation',
                headroom.largestAllocationBytes === undefined
                    ? 'not told by the driver'
                    : plimsoll.formatBytes(headroom.largestAllocationBytes),
            ],
            [
                'Node.js',
                nodeAvailableBytes === undefined ? undefined : `${plimsoll.formatBytes(nodeAvailableBytes)}, process.availableMemory()`,
            ],
        ]),
    ];
}
const signalSection = (page, { signals }) => [
    heading(page, 'Signals', 'what the kernel and its drivers tell of memory'),
    '',
    ...entries(page, 'dim', signalEntries(signals)),
];
const backEndSection = (page, found) => [
    heading(page, 'Device memory', 'what this user could take for accelerators'),
    '',
    ...entries(page, 'dim', deviceEntries(found)),
];
const processSection = (page, memory) => [
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
const warningSection = (page, warnings) => [
    heading(page, 'Warnings', warnings.length > 0 ? 'what to act on' : 'none'),
    ...(warnings.length > 0 ? [''] : []),
    ...entries(page, 'yellow', warnings.map(({ code, message, advice, command }) => ({
        name: code,
        text: visible(`${message}. ${advice}.`),
        command: command ?? undefined,
    }))),
];

/** The nulls are all given, so that a field that comes to a type cannot be forgotten here. */
function filled(object, nulls) {
    const absent = Object.keys(nulls).filter((key) => object[key] === undefined);
    return { ...object, ...Object.fromEntries(absent.map((key) => [key, null])) };
}
const machineDocument = (machine) => filled(machine, {
    freeBytes: null,
    cmaTotalBytes: null,
    cmaFreeBytes: null,
    shmemBytes: null,
    mappedFileBytes: null,
    swapTotalBytes: null,
    swapFreeBytes: null,
    nvmapUsedBytes: null,
    hugePagesBytes: null,
    cgroup: null,
});
const detectedDocument = (detected) => filled(detected, {
    preset: null,
    vendor: null,
    soc: null,
    module: null,
    unifiedMemory: null,
    l4t: null,
    jetpack: null,
    kernelRelease: null,
});
const termDocument = (term) => filled(term, { path: null });
const headroomDocument = (headroom) => ({
    ...filled(headroom, { largestAllocationBytes: null }),
    bindingTerm: termDocument(headroom.bindingTerm),
    terms: headroom.terms.map(termDocument),
});
const cgroupDocument = (cgroup) => filled(cgroup, { limitBytes: null, highBytes: null, oomKillCount: null });
const darkDocument = (dark) => filled(dark, { growthBytesPerSecond: null });
/** Without the cgroup's limit, which is a signal of its own and is not looked up here. */
const memoryDocument = (memory) => {
    const { cgroup: _, ...rest } = machineDocument(memory);
    return rest;
};
const signalsDocument = (signals) => ({
    ...filled(signals, {
        memory: null,
        cgroups: null,
        pressure: null,
        zram: null,
        process: null,
        largestFreeRunBytes: null,
        freeHugeBlockCount: null,
        dark: null,
        oomKillCount: null,
        hugePages: null,
        transparentHugePages: null,
        nvmapClients: null,
        npuDriver: null,
    }),
    memory: signals.memory ? memoryDocument(signals.memory) : null,
    dark: signals.dark ? darkDocument(signals.dark) : null,
    cgroups: signals.cgroups?.map(cgroupDocument) ?? null,
    missing: signals.missing.map((missing) => filled(missing, { remedy: null })),
});
const limitsDocument = (limits) => filled(limits, { largestBytes: null });
const usageDocument = (usage) => filled(usage, { totalBytes: null, freeBytes: null, largestFreeBytes: null });
const deviceDocument = ({ limits, usage, ...device }) => ({
    ...device,
    limits: limitsDocument(limits),
    usage: usageDocument(usage),
});
const backEndDocument = (backEnd) => ({
    ...filled(backEnd, { reason: null, remedy: null, device: null, refusal: null }),
    device: backEnd.device ? deviceDocument(backEnd.device) : null,
});

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
    const machine = machineIfMeasured();
    if (machine)
        return machine;
    throw new SystemError('expected the system to say how much memory it has, got nothing; is /proc mounted?');
}
/** The memory of a machine, if it can be read. */
const machineIfMeasured = (options) => measured(() => plimsoll.machineMemory(options));
/** What a call measures; `undefined` where the system does not give it. */
function measured(measure) {
    try {
        return measure();
    }
    catch (error) {
        if (error instanceof plimsoll.IoError)
            return undefined;
        throw error;
    }
}

/** The version of the package. The command line is bundled to one CommonJS file beside the package's description. */
function packageVersion() {
    const description = JSON.parse(node_fs.readFileSync(node_path.join(__dirname, 'package.json'), 'utf8'));
    return description.version;
}

/** Where the monitor's warning begins, by default. */
const NEARLY_FULL_PERCENT = 80;
const warning = (code, message, advice, command = null) => ({
    code,
    message,
    advice,
    command,
});
/** What a user should act on, the worst first. */
const warningsOf = (found) => [
    ...unknownMemory(found),
    ...fullBounds(found),
    ...limit(found),
    ...unreadableCgroups(found),
    ...doubtfulMemory(found),
    ...kills(found),
    ...compressedSwap(found),
    ...untoldAllocation(found),
    ...presets$1(found),
    ...hugePages(found),
    ...noPressure(found),
    ...backEnds(found),
];
function unknownMemory({ machine, signals, root }) {
    if (machine)
        return [];
    const missing = (name) => signals.missing.find(({ signal }) => signal === name);
    if (signals.memory) {
        const reason = missing('cgroups')?.reason ?? 'a cgroup changed meanwhile';
        const message = `a limit over this process is there and cannot be read, so there is no line: ${reason}`;
        return [warning('limit-unknown', message, 'Until it can be read nothing is granted: see to that file')];
    }
    const { reason, remedy } = missing('memory') ?? { reason: '/proc/meminfo changed meanwhile' };
    const message = `the machine's memory is unknown, so there is no line: ${reason}`;
    if (root !== undefined) {
        const copy = "Copy the board's /proc/meminfo to that place";
        return [warning('memory-unknown', message, remedy === undefined ? copy : `${remedy}. Then copy it again`)];
    }
    return [
        remedy === undefined
            ? warning('memory-unknown', message, 'Mount /proc', 'mount -t proc proc /proc')
            : warning('memory-unknown', message, remedy),
    ];
}
/** Figures that others stand for, and those of a container whose host may have less. */
function doubtfulMemory({ machine, signals, root }) {
    const doubt = signals.missing.find(({ signal }) => signal === 'memory');
    if (!machine || !doubt)
        return [];
    const advice = machine.scope === 'container'
        ? 'Plan with what the host can spare, or set a limit (maxBytes, --max)'
        : 'Headroom may be less than there is; see that /proc/meminfo is that of the kernel';
    const remedy = doubt.remedy && root !== undefined ? `${doubt.remedy}. Then copy it again` : doubt.remedy;
    return [warning('memory-doubtful', doubt.reason, remedy ?? advice)];
}
function fullBounds({ headroom }) {
    const full = headroom?.terms.filter(({ usedPercent }) => usedPercent >= NEARLY_FULL_PERCENT) ?? [];
    const words = ({ usedPercent, description }) => `${percent(usedPercent)} in use: ${description}`;
    return full.map((term) => term.kind === 'machine'
        ? warning('machine-nearly-full', words(term), 'End what is not needed; these hold the most', 'ps -eo rss,pid,args --sort=-rss | head')
        : warning('cgroup-nearly-full', words(term), 'Raise the limit, or run less inside the cgroup'));
}
function limit({ machine }) {
    if (!machine?.cgroup)
        return [];
    const { path, limitBytes } = machine.cgroup;
    return [
        warning('cgroup-limit', `cgroup ${path} allows ${plimsoll.formatBytes(limitBytes)} of the ${plimsoll.formatBytes(machine.totalBytes)} there are`, 'Plan within it, or raise it: docker run --memory SIZE, systemctl set-property UNIT MemoryMax=SIZE'),
    ];
}
/** Where no cgroup can be read there are none, as on kernels without them; half of them is another matter. */
function unreadableCgroups({ machine, signals }) {
    if (!machine || !signals.cgroups)
        return [];
    const unreadable = signals.missing.filter(({ signal }) => signal === 'cgroups');
    return unreadable.map(({ reason }) => warning('cgroup-unreadable', reason, 'A limit may not be seen: ask who runs the container, and set it as --max (maxBytes) where there is one'));
}
function kills({ signals }) {
    const { oomKillCount = 0, cgroups = [] } = signals;
    const killed = cgroups.find((cgroup) => cgroup.oomKillCount);
    const advice = 'Something took more than there was; the log has its name';
    const command = "journalctl --dmesg --grep 'killed process'";
    return [
        ...(oomKillCount > 0
            ? [warning('kills', `kills for want of memory since the kernel's start: ${oomKillCount}`, advice, command)]
            : []),
        ...(killed
            ? [warning('kills', `kills at the limit of cgroup ${killed.path}: ${killed.oomKillCount}`, advice, command)]
            : []),
    ];
}
/** A device that swaps holds a page at least; one that was only made holds none. */
function compressedSwap({ machine, signals }) {
    if (!machine?.swapTotalBytes || !signals.zram?.storedBytes)
        return [];
    const { storedBytes, usedBytes } = signals.zram;
    return [
        warning('zram-swap', `${plimsoll.formatBytes(machine.swapTotalBytes)} of swap do not count: they lie on compressed RAM (zram), where ` +
            `${plimsoll.formatBytes(storedBytes)} swapped out still take ${plimsoll.formatBytes(usedBytes)}`, 'Plan as if there were none, and let a monitor warn before it fills'),
    ];
}
/** Since L4T 36.4.7 the driver refuses pieces that it has room for; a release that is not told may be one of those. */
function untoldAllocation({ headroom, detected }) {
    if (!headroom || headroom.largestAllocationBytes !== undefined)
        return [];
    const release = detected.l4t ? `L4T ${detected.l4t}` : 'an L4T whose release is not told';
    return [
        warning('largest-allocation', `on ${release} the driver may refuse one large piece of device memory although there is room for it: since the ` +
            'mend of CVE-2025-33177 in 36.4.7 loads end with "NvMapMemAllocInternalTagged: ... error 12"', "Take it in pieces: plimsoll's CUDA slabs are put together from chunks of 64 MiB, and PyTorch does likewise when told", 'export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True'),
    ];
}
/** A board without a preset that fits is not blamed: there are more boards than presets. */
function presets$1({ machine, detected, board, isNamed }) {
    // What a container may have is no board's size.
    if (!machine || machine.scope === 'container' || !board || !isNamed)
        return [];
    const better = detected.preset && detected.preset !== board.id ? `--board ${detected.preset}` : undefined;
    if (!better && fits(board, machine))
        return [];
    const found = `${detected.name} with ${plimsoll.formatBytes(machine.totalBytes)}`;
    return [
        warning('preset-mismatch', `the preset ${board.id} is of a board with ${plimsoll.formatBytes(board.totalBytes)}, and this is ${found}`, better ? `Leave --board out, or name ${better}` : 'Leave --board out unless the line is meant for another board'),
    ];
}
/** Firmware takes a part of the memory, never half of it. */
const fits = ({ totalBytes }, machine) => machine.totalBytes <= totalBytes && machine.totalBytes > totalBytes / 2;
function hugePages({ signals }) {
    const bytes = (signals.hugePages ?? []).reduce((sum, pool) => sum + pool.pageBytes * pool.totalCount, 0);
    if (bytes === 0)
        return [];
    return [
        warning('huge-pages', `${plimsoll.formatBytes(bytes)} are set aside as huge pages, which ordinary allocations cannot use; the line is drawn without them`, 'Give them back if nothing needs them', 'sudo sysctl vm.nr_hugepages=0'),
    ];
}
function noPressure({ signals }) {
    const missing = signals.missing.find(({ signal }) => signal === 'pressure');
    if (!missing)
        return [];
    return [
        warning('no-pressure', `the kernel does not tell when tasks stand still for want of memory: ${missing.reason}`, 'A monitor then sees trouble by its samples alone. A kernel built with CONFIG_PSI tells it, some only when ' +
            'booted with psi=1'),
    ];
}
/** The accelerators' memory on the boards that have them. */
const expected = { NVIDIA: ['cuda'], Rockchip: ['rknpu', 'dma-heap'] };
function backEnds({ detected, backEnds: all }) {
    if (!detected.unifiedMemory)
        return [];
    const kinds = expected[detected.vendor ?? ''] ?? [];
    const lacking = all.filter(({ kind, available }) => kinds.includes(kind) && !available);
    return lacking.map(({ kind, reason, remedy }) => warning('back-end', `${kind} cannot be used: ${reason}`, remedy ? 'This mends it' : "It takes the kernel and the drivers of the board's vendor", remedy ?? null));
}

const doctor = {
    name: 'doctor',
    summary: 'this machine: its board, its memory, how much of it may be used, and why',
    options: {
        ...lineOptions,
        root: { type: 'string', value: 'DIR', help: "read a copy of a board's files under DIR instead of this machine" },
        devices: { type: 'boolean', help: 'open every device but the NPU of a Rockchip, and tell its limits and its use' },
        boards: { type: 'boolean', help: 'list the boards that have a preset, and nothing else' },
    },
    run: (args) => (args.flag('boards') ? presets() : diagnosis(args)),
};
function presets() {
    return { document: { boards: plimsoll.boardPresets }, lines: (page) => boardTable(page, 'Boards', plimsoll.boardPresets) };
}
async function diagnosis(args) {
    const found = await examine$1(args);
    const warnings = warningsOf(found);
    const exitCode = found.root === undefined ? Exit.trouble : Exit.brokenInput;
    return {
        document: { ...documentOf$2(found), warnings },
        lines: (page) => diagnosisPage(page, found, warnings),
        ...(found.machine === undefined && { exitCode }),
    };
}
async function examine$1(args) {
    const root = rootFrom(args);
    const devices = args.flag('devices');
    if (devices && root !== undefined)
        throw new UsageError('expected --devices or --root, got both');
    const tree = root === undefined ? {} : { root };
    const named = boardFrom(args);
    const detected = plimsoll.detectBoard(tree);
    const found = plimsoll.backEnds(tree);
    // With its root named it is for looking: what is not certain is a warning on the page, and none in the log.
    const budget = measured(() => plimsoll.MemoryBudget.forThisMachine({ ...lineFrom(args), root: root ?? '/' }));
    return {
        version: packageVersion(),
        node: process.versions.node,
        platform: process.platform,
        system: node_os.release(),
        architecture: process.arch,
        instructionSet: plimsoll.instructionSet(),
        addon: plimsoll.loadedAddon(),
        root,
        machine: machineIfMeasured(tree),
        detected,
        /** Whether a preset was named. */
        isNamed: named !== undefined,
        board: named ?? plimsoll.boardPresets.find(({ id }) => id === detected.preset),
        line: budget && lineOf(budget),
        headroom: budget && measured(() => budget.headroom()),
        signals: signalsOf(tree),
        backEnds: root === undefined ? await opened(found, devices) : found,
        auto: devices ? await autoChoice() : likelyChoice(found, detected.vendor),
        /** Whether everything was opened that is to be. */
        devices,
        // Of a copy, only the process that made it could be told.
        process: root === undefined ? measured(plimsoll.processMemory) : undefined,
        nodeAvailableBytes: root === undefined ? process.availableMemory() : undefined,
    };
}
/** The signals, with the files of a copy called as the board called them in the reasons for what is not there. */
function signalsOf(tree) {
    const read = plimsoll.signals(tree);
    const { root } = tree;
    if (root === undefined)
        return read;
    const named = (path) => (path.startsWith(root) ? `/${node_path.relative(root, path)}` : path);
    const missing = read.missing.map(({ path, reason, ...rest }) => ({
        ...rest,
        path,
        reason: reason.replace(path, () => named(path)),
    }));
    return { ...read, missing };
}
/** The folder named by `--root`, if one is. */
function rootFrom(args) {
    const root = args.text('root');
    if (root === undefined || node_fs.statSync(root, { throwIfNoEntry: false })?.isDirectory())
        return root;
    throw new TreeError(`expected --root to be a folder with a board's files, got "${root}"`);
}
const documentOf$2 = ({ isNamed: _, devices: __, ...found }) => ({
    ...found,
    root: found.root ?? null,
    machine: found.machine ? machineDocument(found.machine) : null,
    detected: detectedDocument(found.detected),
    board: found.board ?? null,
    line: found.line ?? null,
    headroom: found.headroom ? headroomDocument(found.headroom) : null,
    signals: signalsDocument(found.signals),
    backEnds: found.backEnds.map(backEndDocument),
    process: found.process ?? null,
    nodeAvailableBytes: found.nodeAvailableBytes ?? null,
});

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
    const options = optionsOf(verb);
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

/** Characters of a piece, from which on it is given out. */
const PIECE = 64 * 1024;
/** What something that is iterated says when it has worked for a while without an element: the piece is given out as it is. */
const pause = Symbol('pause');
/** What is written as an object without being made one: keys out of files may be long, and all have the same hash then. */
class JsonEntries {
    entries;
    constructor(entries) {
        this.entries = entries;
    }
}
/**
 * The text of `JSON.stringify(value, null, indent)` in pieces: a text of hundreds of megabytes is more than a string
 * can hold, and takes longer than an event loop should stand still. What can be iterated is an array. The value, and the
 * arrays in it, are walked over; what they hold is written whole. Nothing with `toJSON` is expected.
 */
function* jsonPieces(value, indent = 0) {
    // Joined, a piece is one flat text: added up, it would be a tree of its parts for as long as it is kept.
    const parts = [];
    let length = 0;
    for (const token of tokens(value, indent, '\n', true)) {
        parts.push(token);
        length += token.length;
        if (length < PIECE && token !== '')
            continue;
        yield parts.splice(0).join('');
        length = 0;
    }
    yield parts.join('');
}
function* tokens(value, indent, newline, walked = false) {
    if (typeof value !== 'object' || value === null || !(walked || isIterable(value) || value instanceof JsonEntries)) {
        yield textOf$1(value, indent).replaceAll('\n', newline);
        return;
    }
    const inner = indent > 0 ? newline + ' '.repeat(indent) : '';
    const [open, close] = isIterable(value) ? '[]' : '{}';
    let count = 0;
    yield open;
    if (isIterable(value)) {
        for (const element of value) {
            if (element === pause)
                yield '';
            else
                yield (count++ > 0 ? ',' : '') + inner + textOf$1(element, indent).replaceAll('\n', inner);
        }
    }
    else {
        for (const [key, item] of value instanceof JsonEntries ? value.entries : Object.entries(value)) {
            if (item === undefined)
                continue;
            yield `${count++ > 0 ? ',' : ''}${inner}${JSON.stringify(key)}:${indent > 0 ? ' ' : ''}`;
            yield* tokens(item, indent, inner);
        }
    }
    yield (count > 0 && indent > 0 ? newline : '') + close;
}
const isIterable = (value) => Symbol.iterator in value;
const textOf$1 = (value, indent) => JSON.stringify(value, null, indent) ?? 'null';

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
/** Characters of a text shown at most: more than fit on a line. */
const MAX_TEXT = 1000;
/** A value for `--json`. What JSON has no number for is a string: big integers, `"NaN"`, `"Infinity"`. */
function documentOf$1(value) {
    if (value instanceof plimsoll.GgufArray)
        return summaryOf(value);
    if (typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value)))
        return String(value);
    return value;
}
const summaryOf = (array) => ({
    elementType: array.elementType,
    length: array.length,
    first: firstOf(array).map(documentOf$1),
});
const firstOf = (array) => Array.from(array.slice(0, FIRST));
/** The type of a value for people: `u32`, `string[768]`. */
const typeOf = (metadata, key, value) => value instanceof plimsoll.GgufArray ? arrayType(value) : String(metadata.type(key));
const arrayType = (array) => `${array.elementType}[${array.length}]`;
/** A value for people, on one line. */
function textOf(value, type) {
    if (value instanceof plimsoll.GgufArray)
        return arrayText(value);
    if (typeof value === 'string')
        return beginning(value, MAX_TEXT);
    return type === 'f32' ? shortFloat(value) : String(value);
}
function arrayText(array) {
    const elements = firstOf(array).map((element) => elementText(element, array.elementType));
    return [...elements, ...(array.length > FIRST ? ['…'] : [])].join(', ');
}
function elementText(element, type) {
    if (element instanceof plimsoll.GgufArray)
        return arrayType(element);
    return typeof element === 'string' ? `"${beginning(element, MAX_TEXT)}"` : textOf(element, type);
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

/** Rows of a table shown at most; the document has all. */
const MAX_ROWS = 10_000;
/** Characters shown of a name at most. */
const MAX_NAME$1 = 200;
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
    run: run$2,
};
function run$2(args) {
    const { file } = args;
    const headerOnly = args.flag('header-only');
    const model = openInput(() => plimsoll.GgufFile.open(file, { headerOnly }));
    const totals = totalsOf(model.tensors);
    return {
        // Made only when it is asked for: a stranger's file may have a million tensors.
        get document() {
            return documentOfModel(model, totals);
        },
        lines: (page) => [
            ...overview$1(page, model),
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
    metadata: new JsonEntries(metadataDocuments(model)),
    tensors: model.tensors,
    types,
});
function* metadataDocuments({ metadata }) {
    for (const [key, value] of metadata)
        yield [key, { type: metadata.type(key), value: documentOf$1(value) }];
}
function overview$1(page, model) {
    const { fileType, split, architecture } = model;
    const name = nameOf(model);
    return [
        heading(page, beginning(node_path.basename(model.path), MAX_NAME$1)),
        '',
        ...facts(page, [
            ['name', name && beginning(name, MAX_NAME$1)],
            ['architecture', architecture && beginning(architecture, MAX_NAME$1)],
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
    ...table(page, [{ title: 'key' }, { title: 'type', style: 'dim' }, { title: 'value' }], Array.from(firstRows(metadata), ([key, value]) => [
        beginning(key, MAX_NAME$1),
        typeOf(metadata, key, value),
        textOf(value, metadata.type(key)),
    ])),
    ...moreThan(metadata.size),
];
function* firstRows(all) {
    let count = 0;
    for (const row of all) {
        if (count++ === MAX_ROWS)
            return;
        yield row;
    }
}
/** That there are more than those shown, if there are. */
const moreThan = (count) => count > MAX_ROWS ? [`  and ${grouped(count - MAX_ROWS)} more; --json has them all`] : [];
const tensorSection = (page, tensors) => [
    heading(page, 'Tensors', grouped(tensors.length)),
    '',
    ...table(page, [
        { title: 'name' },
        { title: 'type', style: 'dim' },
        { title: 'dimensions', align: 'right' },
        { title: 'size', align: 'right' },
        { title: 'offset', align: 'right', style: 'dim' },
    ], tensors
        .slice(0, MAX_ROWS)
        .map((tensor) => [
        beginning(tensor.name, MAX_NAME$1),
        tensor.type,
        tensor.dimensions.map(String).join(' × ') || 'scalar',
        plimsoll.formatBytes(tensor.sizeBytes),
        grouped(tensor.offsetBytes),
    ])),
    ...moreThan(tensors.length),
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
const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** Calls back for a signal that asks this process to end, until it is disposed of. */
function onEndingSignal(callback) {
    const listener = (signal) => callback(signal);
    for (const signal of endingSignals)
        process.on(signal, listener);
    return {
        [Symbol.dispose]: () => {
            for (const signal of endingSignals)
                process.off(signal, listener);
        },
    };
}

/** A bar of so many cells, of which a share from 0 to 1 is filled. */
function bar(paint, style, share, cells) {
    const filled = Math.floor(Math.min(Math.max(share, 0), 1) * cells);
    return paint(style, '━'.repeat(filled)) + paint('dim', '─'.repeat(cells - filled));
}

const plain$1 = (_, text) => text;
// The stream was asked before, so the text must not be checked against another one.
const coloured = (style, text) => node_util.styleText(style, text, { validateStream: false });
/**
 * Colours for a terminal that has them and whose user has not set `NO_COLOR`; plain text for anything else. A terminal
 * answers for `NO_COLOR` and `TERM=dumb` itself, see `tty.WriteStream.hasColors`.
 */
const paintFor = (stream) => (stream.isTTY && stream.hasColors() ? coloured : plain$1);

/** Redrawing faster than the eye follows only takes time from the work. */
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
        report: ({ what, doneBytes, totalBytes }) => {
            const now = performance.now();
            if (now - drawn < INTERVAL_MS)
                return;
            drawn = now;
            const share = totalBytes > 0 ? doneBytes / totalBytes : 1;
            const percent = `${Math.floor(share * 100)} %`.padStart(5);
            const rate = plimsoll.formatBytes(Math.round((doneBytes * 1000) / Math.max(now - start, 1)));
            const figures = `${percent}  ${plimsoll.formatBytes(doneBytes)} of ${plimsoll.formatBytes(totalBytes)}, ${rate}/s`;
            const left = (stream.columns || 80) - BAR_CELLS - figures.length - 7;
            const name = left > 0 ? clip(visible(what), left) : '';
            stream.write(`${ERASE_LINE}  ${bar(paint, 'green', share, BAR_CELLS)} ${figures}  ${paint('dim', name)}`);
        },
        end: () => {
            if (drawn > 0)
                stream.write(ERASE_LINE);
        },
    };
}

var __addDisposableResource$3 = (undefined && undefined.__addDisposableResource) || function (env, value, async) {
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
var __disposeResources$3 = (undefined && undefined.__disposeResources) || (function (SuppressedError) {
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
        profile: { type: 'string', value: 'OUT', help: 'write what the budget did to OUT.html, .json or .trace.json' },
        ...lineOptions,
    },
    run: async (args) => {
        const loaded = await measuredLoad(args);
        return { document: loaded, lines: (page) => lines$2(page, loaded) };
    },
};
async function measuredLoad(args) {
    const env_1 = { stack: [], error: void 0, hasError: false };
    try {
        const { file } = args;
        const as = args.oneOf('as', plimsoll.tensorOutputs) ?? 'raw';
        const chunkBytes = args.size('chunk') ?? plimsoll.MiB;
        const profilePath = profilePathFrom(args);
        const bounds = lineFrom(args);
        measuredMachine();
        const signal = untilInterrupted();
        const startRssBytes = plimsoll.processMemory().rssBytes;
        const manager = __addDisposableResource$3(env_1, new plimsoll.MemoryManager(bounds), true);
        const model = __addDisposableResource$3(env_1, openInput(() => manager.open(file)), false);
        if (profilePath !== undefined)
            manager.profile.start();
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
        if (profilePath !== undefined)
            await manager.profile.save(profilePath);
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
        const result_1 = __disposeResources$3(env_1);
        if (result_1)
            await result_1;
    }
}
/** Where the profile goes, if one is wanted; the name tells its format. */
function profilePathFrom(args) {
    const path = args.text('profile');
    if (path === undefined || /\.(html|json)$/.test(path))
        return path;
    throw new UsageError(`expected --profile to be a name that ends in .html, .trace.json or .json, got "${path}"`);
}
/** The tensors named, in the order of their names; all of the file if none is. */
function chosen(model, names) {
    if (names === undefined)
        return model.tensors;
    return [...new Set(names)].map((name) => {
        const tensor = model.tensor(name);
        if (tensor)
            return tensor;
        // The nearest of a million would take seconds to find.
        const known = model.tensors.slice(0, 10_000).map((each) => each.name);
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
        const _weights = __addDisposableResource$3(env_2, manager.budget.allocate(request.reservedBytes, 'weights'), false);
        const totalBytes = dataBytesOf(tensors, 'raw');
        const progress = progressOn(process.stderr);
        const counts = { chunks: 0, storedBytes: 0, dataBytes: 0 };
        const start = performance.now();
        try {
            const names = named ? { tensors: tensors.map((tensor) => tensor.name) } : {};
            for await (const chunk of model.stream({ as, chunkBytes, ...names, signal, reuse: true })) {
                counts.chunks += 1;
                counts.storedBytes += chunk.byteEnd - chunk.byteStart;
                counts.dataBytes += chunk.data.byteLength;
                progress.report({ what: chunk.tensor, doneBytes: counts.storedBytes, totalBytes });
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
        __disposeResources$3(env_2);
    }
}
const lines$2 = (page, loaded) => [
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
    shades: stream.isTTY && process.env.TERM !== 'dumb',
});
const printLines = (lines) => {
    process.stdout.write(`${lines.join('\n')}\n`);
};
/** Characters that JSON leaves as they are and that act on a terminal or end a line; line feeds are the document's own. */
const unescaped = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
/** What most pieces of most documents are: looking for more than that takes a hundred times as long. */
const plain = /^[\n\x20-\x7e]*$/;
const escaped = (piece) => piece.replace(unescaped, unicodeEscape);
const print = (document, indent) => {
    for (const piece of jsonPieces(document, indent))
        process.stdout.write(plain.test(piece) ? piece : escaped(piece));
    process.stdout.write('\n');
};
const printDocument = (document) => print(document, 2);
/** Prints a document that is one of many, each on a line. */
const printDocumentLine = (document) => print(document, 0);
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

/** What Linux follows at most. */
const MAX_LINKS = 40;
/** How long a pipe without a reader, or a full one, is left alone. */
const RETRY_MS = 10;
/** Why a folder takes no file beside one that may be written itself, or lets none take its place. */
const closedFolder = ['EACCES', 'EPERM', 'EROFS', 'EBUSY'];
/**
 * Writes a file that appears whole or not at all: beside it, and then takes its place, with the mode and the owner of
 * the file that was there. Symbolic links are followed, also those that lead to nothing yet.
 *
 * What cannot be replaced is written in place: what is no regular file (a device, a pipe, which is waited for until
 * somebody reads it), a file with other names, one whose owner could not be kept, and one in a folder that takes no new
 * files. The pieces are asked for one at a time, between writes or, where one is empty, turns of the event loop.
 */
async function replaceFile(path, pieces) {
    const found = await unless(['ENOENT'], node_fs.promises.stat(path));
    if (found && !found.isFile())
        return writeThrough(path, found, pieces);
    const target = await endOfLinks(path);
    if (target === undefined)
        return writeInPlace(path, pieces);
    if (!found)
        return writeBeside(target, undefined, pieces);
    // Taking the place of a file that may not be written would succeed.
    await node_fs.promises.access(target, node_fs.constants.W_OK);
    if (found.nlink > 1)
        return writeInPlace(target, pieces);
    await writeBeside(target, found, pieces);
}
/** What a call gives, `undefined` when it fails with one of the codes. */
async function unless(codes, call) {
    try {
        return await call;
    }
    catch (error) {
        if (codes.includes(error.code ?? ''))
            return undefined;
        throw error;
    }
}
/**
 * Where the links from a path end, whether or not there is a file. `undefined` of a link of `/proc`, as `/dev/stdout`
 * is one: it stands for a file that is open, whatever its name leads to now.
 */
async function endOfLinks(path) {
    let end = path;
    for (let links = 0; links <= MAX_LINKS; links++) {
        const target = await unless(['EINVAL', 'ENOENT'], node_fs.promises.readlink(end));
        if (target === undefined)
            return end;
        const folder = await node_fs.promises.realpath(node_path.dirname(end));
        if (`${folder}/`.startsWith('/proc/'))
            return undefined;
        // Joined by hand: a folder before `..` may be a link itself.
        end = target.startsWith('/') ? target : `${folder}/${target}`;
    }
    throw Object.assign(new Error('too many symbolic links'), { code: 'ELOOP' });
}
async function writeBeside(target, found, pieces) {
    // Asked for when it is needed: loading the package does not wait for it.
    const { randomUUID } = require('node:crypto');
    // Not longer for a long name, which could be too long then.
    const beside = node_path.join(node_path.dirname(target), `.plimsoll-${randomUUID()}.tmp`);
    const opened = node_fs.promises.open(beside, 'wx', found ? found.mode & 0o777 : 0o666);
    const file = await unless(found ? closedFolder : [], opened);
    if (!file)
        return writeInPlace(target, pieces);
    try {
        let kept;
        try {
            kept = !found || (await keepOwner(file, found));
            if (kept)
                await writePieces(file, pieces);
            if (kept)
                await file.sync();
        }
        finally {
            await file.close();
        }
        if (!kept)
            return await writeInPlace(target, pieces);
        const renamed = node_fs.promises.rename(beside, target).then(() => true);
        // A file that is mounted by itself, as into a container, stays.
        if (!(await unless(found ? closedFolder : [], renamed)))
            await node_fs.promises.copyFile(beside, target);
    }
    finally {
        await node_fs.promises.rm(beside, { force: true });
    }
}
/** Gives a new file the mode and the owner of another one; whether it may have them. */
async function keepOwner(file, { mode, uid, gid }) {
    const made = await file.stat();
    if (made.uid !== uid || made.gid !== gid) {
        const changed = file.chown(uid, gid).then(() => true);
        if (!(await unless(['EPERM', 'EINVAL'], changed)))
            return false;
    }
    await file.chmod(mode & 0o7777);
    return true;
}
async function writeInPlace(path, pieces) {
    const file = await node_fs.promises.open(path, node_fs.constants.O_WRONLY | node_fs.constants.O_TRUNC | node_fs.constants.O_NOCTTY);
    try {
        await writePieces(file, pieces);
        await unless(['EINVAL'], file.sync());
    }
    finally {
        await file.close();
    }
}
/** Into what is no file of its own. Nothing waits within the system, where it could not be ended. */
async function writeThrough(path, found, pieces) {
    const flags = node_fs.constants.O_WRONLY | node_fs.constants.O_NONBLOCK | node_fs.constants.O_NOCTTY;
    const open = () => unless(found.isFIFO() ? ['ENXIO'] : [], node_fs.promises.open(path, flags));
    let file = await open();
    while (!file) {
        await promises.setTimeout(RETRY_MS);
        file = await open();
    }
    try {
        await writePieces(file, pieces);
    }
    finally {
        await file.close();
    }
}
async function writePieces(file, pieces) {
    for (const piece of pieces) {
        if (piece === '')
            await promises.setImmediate();
        let rest = Buffer.from(piece);
        while (rest.length > 0) {
            const written = await unless(['EAGAIN'], file.write(rest));
            if (written)
                rest = rest.subarray(written.bytesWritten);
            else
                await promises.setTimeout(RETRY_MS);
        }
    }
}

/** The options that change how a pool takes and divides its slabs. */
const allocatorOptions = {
    slab: { type: 'string', value: 'SIZE', help: "bytes taken from the device at once (the trace's)" },
    initial: { type: 'string', value: 'SIZE', help: "bytes taken before the first event (the trace's)" },
    max: { type: 'string', value: 'SIZE', help: "bytes held at most (the trace's)" },
    page: { type: 'string', value: 'SIZE', help: "buffers are pages of this size; 0 for any size (the trace's)" },
    dedicated: { type: 'boolean', help: 'each buffer has a slab of its own' },
    shared: { type: 'boolean', help: "buffers share slabs, also where the trace's did not" },
};
/** The settings of a trace's pool, with what was asked for in their place. */
function settingsFrom(args, recorded) {
    if (args.flag('dedicated') && args.flag('shared')) {
        throw new UsageError('expected --dedicated or --shared, got both');
    }
    const settings = { ...(args.flag('dedicated') ? dedicated(recorded) : recorded), ...sizesFrom(args) };
    if (args.flag('shared'))
        delete settings.dedicated;
    if (settings.pageBytes === 0)
        delete settings.pageBytes;
    return settings;
}
/** The same with a slab for each buffer: of its size, and taken as it comes. */
function dedicated({ initialBytes: _none, pageBytes: _ofItsSize, ...others }) {
    return { ...others, dedicated: true };
}
function sizesFrom(args) {
    const [slabBytes, initialBytes, maxBytes, pageBytes] = ['slab', 'initial', 'max', 'page'].map((name) => args.size(name));
    return {
        ...(slabBytes !== undefined && { slabBytes }),
        ...(initialBytes !== undefined && { initialBytes }),
        ...(maxBytes !== undefined && { maxBytes }),
        ...(pageBytes !== undefined && { pageBytes }),
    };
}

/** What is read at once. */
const CHUNK_BYTES = 64 * 1024;
/** A file that is read once, from its start to its end, and whose first bytes can be looked at before. */
class InputFile {
    #path;
    #file;
    #head;
    /** Its size, in bytes; 0 of a pipe. */
    sizeBytes;
    constructor(path, file, sizeBytes) {
        this.#path = path;
        this.#file = file;
        this.sizeBytes = sizeBytes;
    }
    static async open(path) {
        try {
            const file = await promises$1.open(path);
            return new InputFile(path, file, (await file.stat()).size);
        }
        catch (error) {
            throw fileError(path, error);
        }
    }
    /** Its first bytes, without taking them. */
    async head() {
        this.#head ??= await this.#read();
        return this.#head;
    }
    /** Its bytes, a piece at a time. */
    async *chunks() {
        for (let chunk = await this.head(); chunk.length > 0; chunk = await this.#read())
            yield chunk;
    }
    async #read() {
        try {
            const { buffer, bytesRead } = await this.#file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES);
            return buffer.subarray(0, bytesRead);
        }
        catch (error) {
            throw fileError(this.#path, error);
        }
    }
    async [Symbol.asyncDispose]() {
        await this.#file.close();
    }
}
/** A path that leads to no file is broken input; trouble with reading one is the system's. */
function fileError(path, error) {
    const { code, syscall, message } = error;
    const isOfPath = syscall === 'open' || code === 'EISDIR';
    return new FileError(`expected to read ${path}, got: ${message}`, isOfPath ? Exit.brokenInput : Exit.trouble);
}

/** Which part of what the machine can give the pool of a trace takes at most: a file of two lines can ask for all of it. */
const PART = 4;
/** The settings with a bound of what the machine can give now, unless one is given that the user answers for. */
function boundedSettings(args, settings) {
    if (args.size('max') !== undefined)
        return { ...settings, mostBytes: Number.POSITIVE_INFINITY };
    const mostBytes = mostBytesNow();
    const { initialBytes = 0, maxBytes = Number.POSITIVE_INFINITY } = settings;
    expectRoom(mostBytes, Math.max(initialBytes, 1));
    return { ...settings, maxBytes: Math.min(maxBytes, mostBytes), mostBytes };
}
/** Refuses settings by which the trace, and not its user, asks for more at once than the machine should give to a file. */
function expectFitSettings(args, settings) {
    if (args.size('max') !== undefined)
        return;
    const { initialBytes = 0, slabBytes = 0, maxBytes = Number.POSITIVE_INFINITY, dedicated = false } = settings;
    const recorded = [
        args.size('initial') === undefined ? initialBytes : 0,
        args.size('slab') === undefined && !dedicated ? Math.min(slabBytes, maxBytes) : 0,
    ];
    expectRoom(mostBytesNow(), Math.max(...recorded));
}
const mostBytesNow = () => Math.floor(plimsoll.MemoryBudget.forThisMachine().headroom().bytes / PART);
function expectRoom(mostBytes, bytes) {
    if (bytes <= mostBytes)
        return;
    const message = `expected a trace whose pool takes at most ${plimsoll.formatBytes(mostBytes)}, a quarter of what this machine can give now, ` +
        `got one that takes ${plimsoll.formatBytes(bytes)} or more; allow it with --max`;
    throw new NoRoomError(message, mostBytes, bytes);
}

/** Failures that are told one by one; all are counted. */
const MAX_FAILURES = 20;
/** Events between two looks at the pool's figures, which take longer than an event. */
const LOOK_EVERY = 64;
const newTimings = () => ({
    allocate: node_perf_hooks.createHistogram(),
    grow: node_perf_hooks.createHistogram(),
    free: node_perf_hooks.createHistogram(),
});
/** Runs the events of a trace on a pool, and gives back what they left when it is disposed of. */
class Replayer {
    #pool;
    #options;
    /** What lives, by its number in the trace; `null` for what was refused here. */
    #buffers = new Map();
    #requestedBytes = 0;
    replayed = {
        eventCount: 0,
        allocateCount: 0,
        freeCount: 0,
        ignoredCount: 0,
        failureCount: 0,
        failures: [],
        peakRequestedBytes: 0,
        peakSlabCount: 0,
        peakMetadataBytes: 0,
        worstFragmentationPercent: 0,
        worstFragmentationEvent: 0,
    };
    constructor(pool, options) {
        this.#pool = pool;
        this.#options = options;
    }
    /**
     * Runs a trace to its end, or as far as it should go.
     *
     * @throws {@link TraceError} for a line that does not follow from those before it.
     * @throws {@link AbortError} when the signal aborts.
     */
    async run(trace, onBatch) {
        for await (const batch of trace.batches()) {
            if (!(await this.#runBatch(batch)))
                break;
            onBatch(batch);
        }
        this.#look();
    }
    /** Whether there is more to run. */
    async #runBatch({ events }) {
        const { signal, atMost = Number.POSITIVE_INFINITY } = this.#options;
        if (signal.aborted)
            throw new plimsoll.AbortError(signal.reason);
        for (const event of events) {
            if (this.replayed.eventCount >= atMost)
                return false;
            this.replayed.eventCount += 1;
            // Most events wait for nothing, and must not pay for waiting.
            const pending = this.#runEvent(event);
            if (pending)
                await pending;
            if (pending || this.replayed.eventCount % LOOK_EVERY === 0)
                this.#look();
        }
        return true;
    }
    #runEvent(event) {
        if (event.event === 'free')
            return this.#free(event);
        if (event.event === 'allocate' || event.event === 'present')
            return this.#allocate(event);
        this.replayed.ignoredCount += 1;
        return undefined;
    }
    #allocate(request) {
        const { line, buffer } = request;
        if (this.#buffers.has(buffer)) {
            throw new TraceError(line, 'an allocation under a number that is free', `buffer ${buffer}, which is live`);
        }
        this.replayed.allocateCount += 1;
        const began = performance.now();
        const refusal = this.#held(request);
        if (refusal)
            return this.#grow(request, refusal, began);
        record(this.#options.timings?.allocate, began);
        return undefined;
    }
    /** Allocates from the slabs held; the refusal, where they have no room. */
    #held(request) {
        try {
            this.#enter(request, this.#pool.allocate(request.bytes, this.#placing(request)));
            return undefined;
        }
        catch (error) {
            return refusalOf(error);
        }
    }
    async #grow(request, refusal, began) {
        // A request that no such pool serves is refused for good.
        const last = refusal instanceof plimsoll.InsufficientMemoryError ? await this.#moreHeld(request) : refusal;
        record(this.#options.timings?.grow, began);
        if (last)
            this.#fail(request, refusal, last instanceof plimsoll.InsufficientMemoryError ? last.bindingConstraint : last.message);
    }
    /** Allocates with all that the pool can do; the refusal, where that was not enough. */
    async #moreHeld(request) {
        if (this.#options.defragment) {
            await this.#pool.defragment({ signal: this.#options.signal });
            if (!this.#held(request))
                return undefined;
        }
        const { signal } = this.#options;
        try {
            this.#enter(request, await this.#pool.allocateAsync(request.bytes, { ...this.#placing(request), signal }));
            return undefined;
        }
        catch (error) {
            return refusalOf(error);
        }
    }
    #placing({ alignBytes, placement, buffer }) {
        return this.#options.labelled ? { alignBytes, placement, label: `buffer ${buffer}` } : { alignBytes, placement };
    }
    #enter({ buffer, bytes }, made) {
        this.#buffers.set(buffer, made);
        this.#requestedBytes += bytes;
        this.replayed.peakRequestedBytes = Math.max(this.replayed.peakRequestedBytes, this.#requestedBytes);
    }
    /** Moves, and slabs given back on the way, change the largest hole: that of the first refusal counts. */
    #fail({ line, buffer, bytes, alignBytes }, first, reason) {
        this.#buffers.set(buffer, null);
        this.replayed.failureCount += 1;
        const { failures } = this.replayed;
        if (failures.length >= MAX_FAILURES)
            return;
        const stats = this.#pool.stats();
        const { largestFreeBytes } = first instanceof plimsoll.InsufficientMemoryError ? first : stats;
        failures.push({ line, requestedBytes: bytes, alignBytes, largestFreeBytes, heldBytes: stats.heldBytes, reason });
    }
    #free({ line, buffer: number }) {
        const buffer = this.#buffers.get(number);
        if (buffer === undefined)
            throw new TraceError(line, 'the free of a live buffer', `buffer ${number}, which is none`);
        this.#buffers.delete(number);
        this.replayed.freeCount += 1;
        if (buffer === null)
            return;
        const began = performance.now();
        buffer.release();
        record(this.#options.timings?.free, began);
        this.#requestedBytes -= buffer.sizeBytes;
    }
    /** Looks at figures whose extremes the pool does not keep. */
    #look() {
        const { fragmentationPercent, slabCount, metadataBytes } = this.#pool.stats();
        const { replayed } = this;
        replayed.peakSlabCount = Math.max(replayed.peakSlabCount, slabCount);
        replayed.peakMetadataBytes = Math.max(replayed.peakMetadataBytes, metadataBytes);
        if (fragmentationPercent <= replayed.worstFragmentationPercent)
            return;
        replayed.worstFragmentationPercent = fragmentationPercent;
        replayed.worstFragmentationEvent = replayed.eventCount;
    }
    [Symbol.dispose]() {
        for (const buffer of this.#buffers.values())
            buffer?.release();
    }
}
function refusalOf(error) {
    if (error instanceof plimsoll.InsufficientMemoryError || error instanceof plimsoll.InvalidArgumentError)
        return error;
    throw error;
}
/** A histogram takes whole numbers from 1 up. */
function record(histogram, began) {
    histogram?.record(Math.max(Math.round((performance.now() - began) * 1e6), 1));
}

const platforms = {
    'linux-x64': { name: 'linux-x64-gnu', resolveAddon: () => require.resolve('plimsoll-linux-x64-gnu') },
    'linux-arm64': { name: 'linux-arm64-gnu', resolveAddon: () => require.resolve('plimsoll-linux-arm64-gnu') },
};
/** The names of the platforms that addons are made for. */
Object.values(platforms).map(({ name }) => name);
`${process.platform}-${process.arch}`;

/** Under this name every class of every copy of this package tells which copy it is of. */
const { version } = require('./package.json');
/** Which copy of the package this is. */
`${version} in ${__dirname}`;

/**
 * What every error of this package is. `code` tells them apart; `message` says what was expected, what came and what
 * to do.
 */
class PlimsollError extends Error {
    /** The stable code of the error. */
    code;
    /** @internal */
    constructor(code, message, details = {}, options) {
        super(message, options);
        this.code = code;
        Object.assign(this, details);
    }
}
/** A budget has not got that much left. Nothing was taken. */
class InsufficientMemoryError extends PlimsollError {
}
/** An argument or an option is not what the call takes. Nothing was changed. */
class InvalidArgumentError extends PlimsollError {
}
/** The bytes are no GGUF file that this package accepts. */
class InvalidGgufError extends PlimsollError {
}
/** A tensor is stored in a type that cannot be converted; it can be read as `'raw'`. */
class UnsupportedTypeError extends PlimsollError {
}
/** The operating system refused, or a file is not what it was when it was opened. */
class IoError extends PlimsollError {
}
/** The object was released or closed before this call. */
class ReleasedError extends PlimsollError {
}
/** A device, or its driver, refused a call. */
class DeviceError extends PlimsollError {
}
/** The machine has no such device, or this process may not use it. */
class DeviceUnavailableError extends PlimsollError {
}
/** Somebody uses it, so that cannot be done now. */
class BusyError extends PlimsollError {
}
/** The work was aborted. `cause` is the signal's reason, or says who else ended the work. */
class AbortError extends PlimsollError {
    /** @internal */
    constructor(cause) {
        super('ABORT_ERR', 'The operation was aborted', {}, { cause });
    }
}
/**
 * The native addon for this platform is missing, unfit or does not load. It is thrown while the package is loaded, which
 * then exports nothing: compare `code`, and use this class as a type.
 */
class AddonUnavailableError extends PlimsollError {
}
const classes = {
    ERR_INSUFFICIENT_MEMORY: InsufficientMemoryError,
    ERR_INVALID_ARGUMENT: InvalidArgumentError,
    ERR_INVALID_GGUF: InvalidGgufError,
    ERR_UNSUPPORTED_TYPE: UnsupportedTypeError,
    ERR_IO: IoError,
    ERR_RELEASED: ReleasedError,
    ERR_DEVICE: DeviceError,
    ERR_DEVICE_UNAVAILABLE: DeviceUnavailableError,
    ERR_BUSY: BusyError,
};
for (const type of [PlimsollError, AbortError, AddonUnavailableError, ...Object.values(classes)]) {
    Object.defineProperty(type.prototype, 'name', { value: type.name, configurable: true, writable: true });
}

/**
 * A part of checked options, or what is made of them, for functions that read it by name, the addon's among them: what
 * it does not hold itself is not there, whatever `Object.prototype` holds.
 */
const own = (part) => Object.assign(Object.create(null), part);

/** What is in a block. */
function kindOf(block) {
    const { requestedBytes, transient, pinned } = own(block);
    if (requestedBytes === undefined)
        return 'free';
    if (pinned)
        return 'pinned';
    return transient ? 'transient' : 'long';
}
/** The blocks of a slab with what lies between and behind them, which no buffer can have. */
function* wholeSlab({ sizeBytes, blocks }) {
    let end = 0;
    for (const block of blocks) {
        if (block.offsetBytes > end)
            yield { offsetBytes: end, sizeBytes: block.offsetBytes - end };
        yield block;
        end = block.offsetBytes + block.sizeBytes;
    }
    if (sizeBytes > end)
        yield { offsetBytes: end, sizeBytes: sizeBytes - end };
}

const shades = {
    long: { name: 'long-lived', drawn: '▓', plain: '#', style: undefined },
    transient: { name: 'transient', drawn: '▒', plain: '+', style: 'yellow' },
    pinned: { name: 'pinned', drawn: '█', plain: '@', style: 'red' },
    free: { name: 'free', drawn: '░', plain: '.', style: 'dim' },
};
function drawn(page, kind, cells) {
    const { drawn, plain, style } = shades[kind];
    const text = (page.shades ? drawn : plain).repeat(cells);
    return style ? page.paint(style, text) : text;
}
/** What the cells of a picture stand for. */
const legend = (page) => Object.keys(shades).map((kind) => `${drawn(page, kind, 1)} ${shades[kind].name}`).join('   ');
/** A slab as a row of cells, each of the kind that most of its bytes are. */
function picture(page, slab, cells) {
    const kinds = cellsOf(slab, cells);
    let text = '';
    for (let start = 0, end = 0; start < cells; start = end) {
        const kind = kinds[start];
        while (end < cells && kinds[end] === kind)
            end += 1;
        text += drawn(page, kind, end - start);
    }
    return text;
}
function cellsOf(slab, cells) {
    const cellBytes = slab.sizeBytes / cells;
    const bytes = Array.from({ length: cells }, () => ({ long: 0, transient: 0, pinned: 0, free: 0 }));
    for (const block of wholeSlab(slab)) {
        const kind = kindOf(block);
        const end = block.offsetBytes + block.sizeBytes;
        for (let cell = Math.floor(block.offsetBytes / cellBytes); cell * cellBytes < end && cell < cells; cell++) {
            const shared = Math.min(end, (cell + 1) * cellBytes) - Math.max(block.offsetBytes, cell * cellBytes);
            const counts = bytes[cell];
            if (counts)
                counts[kind] += shared;
        }
    }
    return bytes.map(mostOf);
}
function mostOf(bytes) {
    const kinds = Object.keys(bytes);
    return kinds.reduce((most, kind) => (bytes[kind] > bytes[most] ? kind : most));
}

/** A line is at most this long; the package's own are a hundred bytes. */
const MAX_LINE_BYTES = 64 * 1024;
/** Characters shown of what is unfit. */
const MAX_SHOWN = 80;
/** Whether a file begins as a trace does, of whatever version. */
function isTrace(head) {
    const end = head.indexOf('\n');
    const line = head.toString('utf8', 0, end < 0 ? head.length : end);
    const header = parsed(line);
    return isObject(header) && 'plimsollTrace' in header;
}
/** A trace that is read as a stream. Whatever is unfit in it is a {@link TraceError} with its line. */
class TraceFile {
    header;
    #lines;
    #first;
    constructor(header, first, lines) {
        this.header = header;
        this.#first = first;
        this.#lines = lines;
    }
    /** Reads the header and the events that come with it, so that a file which is no trace fails before anything is taken. */
    static async read(file) {
        const lines = linesOf(file);
        const { value, done } = await lines.next();
        if (done)
            throw new TraceError(1, 'the header of a trace', 'the end of the file');
        const [header = '', ...rest] = value.lines;
        return new TraceFile(headerOf(header), batchOf({ ...value, lines: rest, number: 2 }), lines);
    }
    /** The events in their order. */
    async *batches() {
        yield this.#first;
        for await (const lines of this.#lines)
            yield batchOf(lines);
    }
}
async function* linesOf(file) {
    let rest = Buffer.alloc(0);
    let number = 1;
    let readBytes = 0;
    for await (const chunk of file.chunks()) {
        const bytes = Buffer.concat([rest, chunk]);
        readBytes += chunk.length;
        const end = bytes.lastIndexOf('\n');
        rest = bytes.subarray(end + 1);
        const lines = end < 0 ? [] : bytes.toString('utf8', 0, end).split('\n');
        if (rest.length > MAX_LINE_BYTES) {
            throw new TraceError(number + lines.length, `at most ${MAX_LINE_BYTES} bytes long`, 'more');
        }
        if (lines.length > 0)
            yield { lines, number, readBytes };
        number += lines.length;
    }
    if (rest.length > 0)
        yield { lines: [rest.toString()], number, readBytes };
}
const batchOf = ({ lines, number, readBytes }) => ({
    events: lines.map((line, i) => eventOf(line, number + i)),
    readBytes,
});
function headerOf(line) {
    const header = objectOf(line, 1, 'the header of a trace, a JSON object with "plimsollTrace"');
    const field = fieldsOf(header, 1);
    field('plimsollTrace', '1, the version that is known', (value) => value === 1);
    const { settings = {}, droppedCount = 0 } = header;
    return {
        device: field('device', 'a text', isText),
        label: field('label', 'a text', isText),
        settings: settingsOf(checked(1, 'settings', settings, 'an object', isObject)),
        droppedCount: checked(1, 'droppedCount', droppedCount, 'a whole number', isCount),
    };
}
const sizes = ['slabBytes', 'initialBytes', 'maxBytes', 'maxCachedBytes', 'pageBytes'];
function settingsOf(given) {
    const field = fieldsOf(given, 1);
    const settings = {};
    for (const name of sizes) {
        if (given[name] !== undefined)
            settings[name] = field(name, 'a whole number of bytes', isCount);
    }
    if (given.dedicated !== undefined)
        settings.dedicated = field('dedicated', 'true or false', isFlag);
    return settings;
}
function eventOf(line, number) {
    const given = objectOf(line, number, 'an event, a JSON object');
    const field = fieldsOf(given, number);
    const event = field('event', '"allocate", "free", "present", "refuse" or "move"', isEvent);
    if (event === 'refuse' || event === 'move')
        return { event };
    const buffer = field('buffer', 'the number of a buffer, as a text', isNumber);
    if (event === 'free')
        return { event, line: number, buffer };
    const { alignBytes = 256, placement = 'long' } = given;
    return {
        event,
        line: number,
        buffer,
        bytes: field('bytes', 'a whole number of bytes from 1 up', isSize),
        alignBytes: checked(number, 'alignBytes', alignBytes, 'a power of two', isPowerOfTwo),
        placement: checked(number, 'placement', placement, '"long" or "transient"', isPlacement),
    };
}
const events = ['allocate', 'free', 'present', 'refuse', 'move'];
const isEvent = (value) => events.includes(value);
const isText = (value) => typeof value === 'string';
const isFlag = (value) => typeof value === 'boolean';
const isNumber = (value) => isText(value) && /^\d{1,20}$/.test(value);
const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
const isSize = (value) => isCount(value) && value > 0;
const isPowerOfTwo = (value) => isSize(value) && 2 ** Math.round(Math.log2(value)) === value;
const isPlacement = (value) => value === 'long' || value === 'transient';
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const shown$1 = (value) => clip(JSON.stringify(value) ?? 'nothing', MAX_SHOWN);
function parsed(line) {
    try {
        return JSON.parse(line);
    }
    catch {
        return undefined;
    }
}
function objectOf(line, number, expected) {
    const value = parsed(line);
    if (isObject(value))
        return value;
    throw new TraceError(number, expected, line === '' ? 'an empty line' : clip(line, MAX_SHOWN));
}
/** Reads fields of a line's object, each with its check. */
const fieldsOf = (given, line) => (name, expected, fits) => checked(line, name, given[name], expected, fits);
function checked(line, name, value, expected, fits) {
    if (fits(value))
        return value;
    throw new TraceError(line, `an object whose "${name}" is ${expected}`, shown$1(value));
}

var __addDisposableResource$2 = (undefined && undefined.__addDisposableResource) || function (env, value, async) {
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
var __disposeResources$2 = (undefined && undefined.__disposeResources) || (function (SuppressedError) {
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
/** A snapshot is read whole; half a million blocks take this much. */
const MAX_SNAPSHOT_BYTES = 64 * 1024 * 1024;
/** Slabs of a pool shown at most. */
const MAX_SLABS = 100;
/** Characters of a name shown at most. */
const MAX_NAME = 80;
/** Cells that a slab is drawn in, where there is room. */
const CELLS = 64;
const pools = {
    name: 'pools',
    operand: 'FILE',
    summary: 'the slabs of pools and what lies in them, from a snapshot or the trace of a pool',
    options: {
        html: { type: 'string', value: 'OUT', help: 'write a page that needs nothing but a browser to OUT' },
        at: { type: 'string', value: 'N', help: 'of a trace: after so many events (all)' },
        ...allocatorOptions,
    },
    run: async (args) => {
        const found = await examine(args);
        const html = args.text('html') ?? null;
        if (html !== null)
            await writePage(html, found.snapshots);
        return { document: { path: args.file, html, ...found }, lines: (page) => lines$1(page, found, html) };
    },
};
async function examine(args) {
    const env_1 = { stack: [], error: void 0, hasError: false };
    try {
        const file = __addDisposableResource$2(env_1, await InputFile.open(args.file), true);
        if (isTrace(await file.head()))
            return await fromTrace(file, args);
        const unfit = ['at', ...Object.keys(allocatorOptions)].find((name) => args.text(name) !== undefined);
        if (unfit !== undefined)
            throw new UsageError(`expected a trace with --${unfit}, got another file`);
        return { replayed: null, snapshots: await fromSnapshots(file) };
    }
    catch (e_1) {
        env_1.error = e_1;
        env_1.hasError = true;
    }
    finally {
        const result_1 = __disposeResources$2(env_1);
        if (result_1)
            await result_1;
    }
}
async function fromSnapshots(file) {
    const text = await wholeText(file);
    try {
        return plimsoll.parsePoolSnapshots(text);
    }
    catch (error) {
        // The text is that of a file, and the file is what is unfit.
        throw new SnapshotError(error);
    }
}
async function wholeText(file) {
    const chunks = [];
    let readBytes = 0;
    for await (const chunk of file.chunks()) {
        chunks.push(chunk);
        readBytes += chunk.length;
        if (readBytes > MAX_SNAPSHOT_BYTES) {
            const most = plimsoll.formatBytes(MAX_SNAPSHOT_BYTES);
            throw new FileError(`expected a trace, or a snapshot of at most ${most}, got more`, Exit.brokenInput);
        }
    }
    return Buffer.concat(chunks).toString();
}
/** What a trace comes to, in ordinary RAM. */
async function fromTrace(file, args) {
    const env_2 = { stack: [], error: void 0, hasError: false };
    try {
        const signal = untilInterrupted();
        const trace = await TraceFile.read(file);
        const { mostBytes, ...settings } = boundedSettings(args, settingsFrom(args, trace.header.settings));
        const pool = __addDisposableResource$2(env_2, await plimsoll.MemoryPool.create({ device: 'host', ...settings }), true);
        const replayer = __addDisposableResource$2(env_2, new Replayer(pool, { signal, atMost: args.count('at'), labelled: true }), false);
        await replayer.run(trace, () => { });
        const { eventCount, failureCount, failures } = replayer.replayed;
        for (const { heldBytes, requestedBytes } of failures)
            expectRoom(mostBytes, heldBytes + requestedBytes);
        const snapshot = { ...pool.snapshot(), label: trace.header.label };
        return { replayed: { eventCount, failureCount }, snapshots: [snapshot] };
    }
    catch (e_2) {
        env_2.error = e_2;
        env_2.hasError = true;
    }
    finally {
        const result_2 = __disposeResources$2(env_2);
        if (result_2)
            await result_2;
    }
}
async function writePage(path, snapshots) {
    const page = plimsoll.poolsPage(snapshots);
    try {
        await replaceFile(path, [page]);
    }
    catch (error) {
        throw new FileError(`expected to write ${path}, got: ${error.message}`, Exit.trouble);
    }
}
const lines$1 = (page, { replayed, snapshots }, html) => [
    ...snapshots.flatMap((pool, i) => [...(i > 0 ? [''] : []), ...section(page, pool)]),
    ...(replayed?.failureCount ? ['', `${grouped(replayed.failureCount)} buffers found no place and are not drawn`] : []),
    ...(html === null ? [] : ['', `The page is in ${visible(html)}`]),
];
/** A name from a file, by its beginning. */
const shown = (name) => clip(visible(name.slice(0, 2 * MAX_NAME)), MAX_NAME);
function section(page, pool) {
    const { label, device, timeMs, stats, slabs } = pool;
    return [
        heading(page, shown(label), `on ${shown(device)}, ${new Date(timeMs).toISOString()}`),
        '',
        ...facts(page, [
            ['held', `${plimsoll.formatBytes(stats.heldBytes)} in ${grouped(stats.slabCount)} slabs`],
            ['used', `${plimsoll.formatBytes(stats.usedBytes)} by ${grouped(stats.bufferCount)} buffers`],
            ['asked for', plimsoll.formatBytes(stats.requestedBytes)],
            ['free', `${plimsoll.formatBytes(stats.freeBytes)}, the largest hole ${plimsoll.formatBytes(stats.largestFreeBytes)}`],
            ['fragmentation', percent(stats.fragmentationPercent)],
            ['most held', plimsoll.formatBytes(stats.peakHeldBytes)],
            ['most used', plimsoll.formatBytes(stats.peakUsedBytes)],
        ]),
        ...(slabs.length > 0 ? ['', ...slabLines(page, slabs), '', `  ${legend(page)}`] : []),
    ];
}
function slabLines(page, slabs) {
    const shown = slabs.slice(0, MAX_SLABS);
    const rows = shown.map((slab) => ({
        slab,
        name: `${slab.index}  ${plimsoll.formatBytes(slab.sizeBytes)}`,
        used: percent((slab.usedBytes / slab.sizeBytes) * 100),
    }));
    const width = Math.max(...rows.map(({ name }) => name.length));
    const cells = Math.max(Math.min(CELLS, page.width - width - '    100.0 %'.length - 2), 8);
    const lines = rows.map(({ slab, name, used }) => `  ${name.padStart(width)}  ${picture(page, slab, cells)}  ${used.padStart(7)}`);
    const more = slabs.length - shown.length;
    return more > 0 ? [...lines, `  and ${grouped(more)} more`] : lines;
}

var __addDisposableResource$1 = (undefined && undefined.__addDisposableResource) || function (env, value, async) {
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
var __disposeResources$1 = (undefined && undefined.__disposeResources) || (function (SuppressedError) {
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
const devices = ['auto', 'host', 'dma-heap', 'udmabuf', 'cuda', 'rknpu'];
const replay = {
    name: 'replay',
    operand: 'FILE',
    summary: "run the trace of a pool again, on any device and with any of the allocator's settings",
    options: {
        device: { type: 'string', value: devices.join('|'), help: 'where the memory comes from (auto)' },
        ...allocatorOptions,
        defragment: { type: 'boolean', help: 'where no hole fits, defragment before another slab is taken' },
        repeat: { type: 'string', value: 'N', help: 'run it so many times, each on a new pool (1)' },
    },
    run: async (args) => {
        const report = await replayed(args);
        const exitCode = report.failureCount > 0 ? Exit.doesNotFit : Exit.fine;
        return { document: report, lines: (page) => lines(page, report), exitCode };
    },
};
async function replayed(args) {
    const { file: path } = args;
    const repeat = args.count('repeat') ?? 1;
    const request = {
        args,
        path,
        repeat,
        defragment: args.flag('defragment'),
        timings: newTimings(),
        signal: untilInterrupted(),
    };
    const device = await deviceFor(args);
    const began = performance.now();
    for (let round = 1;; round++) {
        const run = await oneRun(device, request, round);
        if (round < repeat)
            continue;
        const durationMs = performance.now() - began;
        return { path, device: device.name, repeat, ...run, durationMs, time: timesOf(request.timings) };
    }
}
/** The device is opened once: what it gives is then told of all the runs together. */
const deviceFor = (args) => plimsoll.Device.open(args.oneOf('device', devices) ?? 'auto');
async function oneRun(device, request, round) {
    const env_1 = { stack: [], error: void 0, hasError: false };
    try {
        const { args, path, repeat, ...options } = request;
        const file = __addDisposableResource$1(env_1, await InputFile.open(path), true);
        const trace = await TraceFile.read(file);
        const settings = settingsFrom(args, trace.header.settings);
        // A GPU's own memory is no part of what this machine can give.
        if (device.limits.systemMemory)
            expectFitSettings(args, settings);
        const pool = __addDisposableResource$1(env_1, await plimsoll.MemoryPool.create({ device, ...settings }), true);
        const replayer = __addDisposableResource$1(env_1, new Replayer(pool, options), false);
        const progress = progressOn(process.stderr);
        const what = repeat > 1 ? `run ${round} of ${repeat}` : '';
        try {
            await replayer.run(trace, ({ readBytes }) => progress.report({ what, doneBytes: readBytes, totalBytes: Math.max(file.sizeBytes, readBytes) }));
        }
        finally {
            progress.end();
        }
        return outcome(trace.header, settings, pool, replayer);
    }
    catch (e_1) {
        env_1.error = e_1;
        env_1.hasError = true;
    }
    finally {
        const result_1 = __disposeResources$1(env_1);
        if (result_1)
            await result_1;
    }
}
function outcome(trace, settings, pool, { replayed }) {
    const end = pool.stats();
    const { peakHeldBytes, peakUsedBytes, movedCount, movedBytes } = end;
    return {
        trace,
        settings,
        ...replayed,
        peakHeldBytes,
        peakUsedBytes,
        utilizationPercent: peakHeldBytes > 0 ? (replayed.peakRequestedBytes / peakHeldBytes) * 100 : 0,
        endFragmentationPercent: end.fragmentationPercent,
        movedCount,
        movedBytes,
        end,
    };
}
const timesOf = ({ allocate, grow, free }) => ({
    allocate: timeOf(allocate),
    grow: timeOf(grow),
    free: timeOf(free),
});
const timeOf = (histogram) => histogram.count > 0
    ? {
        count: histogram.count,
        medianNs: histogram.percentile(50),
        p99Ns: histogram.percentile(99),
        maxNs: histogram.max,
    }
    : null;
function lines(page, report) {
    return [
        heading(page, visible(node_path.basename(report.path)), `replayed on ${report.device}${settingsText(report.settings)}`),
        '',
        ...overview(page, report),
        '',
        ...timeSection(page, report),
        ...failureSection(page, report),
    ];
}
function settingsText({ slabBytes, initialBytes, maxBytes, pageBytes, dedicated }) {
    const sizes = [
        ['slabs of', slabBytes],
        ['initially', initialBytes],
        ['at most', maxBytes],
        ['pages of', pageBytes],
    ];
    const texts = sizes.map(([words, bytes]) => (bytes ? `, ${words} ${plimsoll.formatBytes(bytes)}` : ''));
    return `${texts.join('')}${dedicated ? ', a slab for each buffer' : ''}`;
}
const overview = (page, report) => facts(page, [
    ['trace', `of "${visible(report.trace.label)}" on ${visible(report.trace.device)}`],
    ['events', eventText(report)],
    ['dropped', report.trace.droppedCount > 0 ? `${grouped(report.trace.droppedCount)} later ones` : undefined],
    ['failures', grouped(report.failureCount)],
    ['most asked for', plimsoll.formatBytes(report.peakRequestedBytes)],
    ['most used', plimsoll.formatBytes(report.peakUsedBytes)],
    ['most held', `${plimsoll.formatBytes(report.peakHeldBytes)}, in up to ${grouped(report.peakSlabCount)} slabs`],
    ['utilisation', `${percent(report.utilizationPercent)}, the most asked for of the most held`],
    ['fragmentation', fragmentationText(report)],
    ['moves', `${grouped(report.movedCount)}, ${plimsoll.formatBytes(report.movedBytes)}`],
    ['metadata', `up to ${plimsoll.formatBytes(report.peakMetadataBytes)}`],
]);
const eventText = ({ eventCount, allocateCount, freeCount, ignoredCount }) => `${grouped(eventCount)}: ${grouped(allocateCount)} allocations, ${grouped(freeCount)} frees, ` +
    `${grouped(ignoredCount)} refusals and moves of the traced pool`;
const fragmentationText = (report) => `${percent(report.endFragmentationPercent)} at the end, ` +
    (report.worstFragmentationPercent > 0
        ? `${percent(report.worstFragmentationPercent)} at its worst, after event ${grouped(report.worstFragmentationEvent)}`
        : 'never any');
function timeSection(page, { time, durationMs, repeat }) {
    const runs = repeat > 1 ? ` in ${grouped(repeat)} runs` : '';
    const rows = Object.entries(time).flatMap(([name, figures]) => figures
        ? [[timeNames[name] ?? name, grouped(figures.count), ...[figures.medianNs, figures.p99Ns, figures.maxNs].map(ns)]]
        : []);
    return [
        heading(page, 'Time', `on this machine, ${(durationMs / 1000).toFixed(2)} s${runs}, with the reading of the trace`),
        '',
        ...table(page, [
            { title: 'operation' },
            { title: 'times', align: 'right' },
            { title: 'median', align: 'right' },
            { title: '99 %', align: 'right' },
            { title: 'longest', align: 'right' },
        ], rows),
    ];
}
const timeNames = {
    allocate: 'allocate from a slab that is held',
    grow: 'allocate with a new slab, or fail',
    free: 'free',
};
/** A duration in nanoseconds, for people. */
function ns(duration) {
    if (duration < 1e3)
        return `${duration} ns`;
    return duration < 1e6 ? `${(duration / 1e3).toFixed(2)} µs` : `${(duration / 1e6).toFixed(2)} ms`;
}
function failureSection(page, { failures, failureCount }) {
    if (failureCount === 0)
        return [];
    const note = failureCount > failures.length ? `the first ${failures.length} of ${grouped(failureCount)}` : '';
    return ['', heading(page, 'Failures', note), '', ...table(page, failureColumns, failures.map(failureRow))];
}
const failureColumns = [
    { title: 'line', align: 'right' },
    { title: 'asked for', align: 'right' },
    { title: 'aligned to', align: 'right' },
    { title: 'largest hole', align: 'right' },
    { title: 'held', align: 'right' },
    { title: 'why' },
];
const failureRow = ({ line, requestedBytes, alignBytes, largestFreeBytes, heldBytes, reason }) => [
    grouped(line),
    plimsoll.formatBytes(requestedBytes),
    plimsoll.formatBytes(alignBytes),
    plimsoll.formatBytes(largestFreeBytes),
    plimsoll.formatBytes(heldBytes),
    visible(reason),
];

/** The terminal's second screen, without cursor, and without breaking lines that are too long for it. */
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const ERASE_TO_END_OF_LINE = '\x1b[K';
const ERASE_BELOW = '\x1b[J';
/** Rows of a terminal that does not say. */
const DEFAULT_ROWS = 24;
/** A terminal that is drawn over and over, until it is given back as it was. */
class Screen {
    #stream;
    constructor(stream) {
        this.#stream = stream;
        stream.write(ENTER);
    }
    /** Draws over what is there, in one write, so that nothing flickers. What does not fit below is left out. */
    draw(lines) {
        const shown = lines.slice(0, this.#stream.rows || DEFAULT_ROWS);
        const text = shown.map((line) => `${line}${ERASE_TO_END_OF_LINE}`).join('\r\n');
        this.#stream.write(`${HOME}${text}${ERASE_BELOW}`);
    }
    [Symbol.dispose]() {
        this.#stream.write(LEAVE);
    }
}
/** Calls back for every character that is typed; for a Ctrl-C too, which is no signal meanwhile. */
function onKey(stdin, callback) {
    if (!stdin.isTTY)
        return { [Symbol.dispose]: () => { } };
    const listener = (data) => {
        for (const key of data.toString('latin1'))
            callback(key);
    };
    stdin.setRawMode(true);
    stdin.on('data', listener);
    return {
        [Symbol.dispose]: () => {
            stdin.off('data', listener);
            stdin.setRawMode(false);
            stdin.pause();
        },
    };
}

const levelStyles = { normal: 'green', warning: 'yellow', critical: 'red' };
/** A view as a page of a terminal. */
const frame = (page, view) => [
    title(page, view),
    '',
    ...gauges(page, view),
    '',
    ...bounds(page, view),
    ...facts(page, memoryFacts(view)),
    '',
    heading(page, 'Processes', 'that have plimsoll loaded, as far as this user may look'),
    ...processTable(page, view.processes),
];
function title(page, { sample, intervalMs }) {
    const time = new Date(sample.timeMs).toLocaleTimeString('en-GB');
    const level = page.paint(levelStyles[sample.level], sample.level);
    return `${page.paint('bold', 'plimsoll top')}  ${level}  ${page.paint('dim', `${time}, every ${intervalMs} ms; q quits`)}`;
}
/** Use, line and headroom, with what bounds each. */
function gauges(page, { sample, line }) {
    const { level, usedPercent, constraint, headroom, memory } = sample;
    const ofTotal = (bytes) => bytes / memory.totalBytes;
    const [lowest] = line.terms;
    return [
        gauge(page, 'in use', levelStyles[level], usedPercent / 100, percent(usedPercent), constraint),
        gauge(page, 'line', 'green', ofTotal(line.lineBytes), plimsoll.formatBytes(line.lineBytes), lowest?.description ?? ''),
        gauge(page, 'headroom', 'green', ofTotal(headroom.bytes), plimsoll.formatBytes(headroom.bytes), headroom.bindingTerm.description),
    ];
}
/** A machine alone has said all in the line of its headroom. */
const bounds = (page, { sample }) => sample.headroom.terms.length > 1 ? [...boundTable(page, sample.headroom), ''] : [];
function gauge(page, name, style, share, figure, why) {
    const NAME_CELLS = 8;
    const FIGURE_CELLS = 11;
    const cells = Math.min(Math.max(Math.floor(page.width / 6), 8), 32);
    const left = page.width - NAME_CELLS - FIGURE_CELLS - cells - 8;
    const drawn = bar(page.paint, style, share, cells);
    const words = left > 0 ? `  ${clip(visible(why), left)}` : '';
    return `  ${page.paint('dim', name.padEnd(NAME_CELLS))}  ${drawn}  ${figure.padStart(FIGURE_CELLS)}${words}`;
}
function memoryFacts({ sample, pid, isOther, killCount, gpuProcesses }) {
    const { memory, zram, dark, freeHugeBlockCount, pressure, oomKillCount, process } = sample;
    return [
        ['machine', `${plimsoll.formatBytes(memory.availableBytes)} of ${plimsoll.formatBytes(memory.totalBytes)} available`],
        ['swap', swapWords(memory)],
        ['zram', zram?.storedBytes ? zramWords(zram) : undefined],
        ['dark memory', dark && darkWords(dark)],
        ['blocks of 2 MiB', freeHugeBlockCount === undefined ? undefined : blockWords(freeHugeBlockCount)],
        ['GPU memory', gpuProcesses && visible(holderWords(gpuProcesses))],
        ['pressure', pressure ? pressureWords(pressure) : 'not told by the kernel'],
        [
            'kills',
            oomKillCount === undefined
                ? 'not told by the kernel'
                : `${oomKillCount}, ${killCount} of them since this view began`,
        ],
        [`process ${pid}`, isOther && process ? processWords(process) : undefined],
    ];
}
const processWords = ({ rssBytes, anonymousBytes, fileBytes, shmemBytes }) => `${plimsoll.formatBytes(rssBytes)} resident: ${plimsoll.formatBytes(anonymousBytes)} anonymous, ${plimsoll.formatBytes(fileBytes)} file, ` +
    `${plimsoll.formatBytes(shmemBytes)} shared`;
const sizeOrUnknown = (bytes) => (bytes === undefined ? '?' : plimsoll.formatBytes(bytes));
const processTable = (page, processes) => table(page, [
    { title: 'pid', align: 'right' },
    { title: 'resident', align: 'right' },
    { title: 'anonymous', align: 'right' },
    { title: 'shared', align: 'right' },
    { title: 'peak', align: 'right', style: 'dim' },
    { title: 'command' },
], processes.map((process) => [
    String(process.pid),
    plimsoll.formatBytes(process.rssBytes),
    sizeOrUnknown(process.anonymousBytes),
    sizeOrUnknown(process.shmemBytes),
    sizeOrUnknown(process.peakRssBytes),
    visible(process.command),
]));
/** The columns of a view in one line: title, width of any value, negative for those that begin left, and value. */
const columns = [
    ['time', -24, ({ sample }) => new Date(sample.timeMs).toISOString()],
    ['level', -8, ({ sample }) => sample.level],
    ['in use', 7, ({ sample }) => percent(sample.usedPercent)],
    ['headroom', 12, ({ sample }) => plimsoll.formatBytes(sample.headroom.bytes)],
    ['line', 12, ({ line }) => plimsoll.formatBytes(line.lineBytes)],
    ['available', 12, ({ sample }) => plimsoll.formatBytes(sample.memory.availableBytes)],
    ['dark', 11, ({ sample }) => (sample.dark ? plimsoll.formatBytes(sample.dark.bytes) : '?')],
    ['stalled', 8, ({ sample }) => (sample.pressure ? `${sample.pressure.some.avg10Percent.toFixed(2)} %` : '?')],
    ['kills', 5, ({ sample }) => String(sample.oomKillCount ?? '?')],
    [({ isOther, pid }) => (isOther ? `pid ${pid}` : 'plimsoll'), 12, (view) => plimsoll.formatBytes(residentBytes(view))],
    ['constraint', 0, ({ sample }) => visible(sample.constraint)],
];
const joined = (cell) => columns
    .map((column) => (column[1] < 0 ? cell(column).padEnd(-column[1]) : cell(column).padStart(column[1])))
    .join('  ');
/** What the process that was named holds, else what those with plimsoll loaded hold together. */
const residentBytes = ({ sample, isOther, processes }) => isOther ? (sample.process?.rssBytes ?? 0) : processes.reduce((sum, { rssBytes }) => sum + rssBytes, 0);
/** The titles over {@link plainLine}. */
const plainTitles = (view) => joined(([title]) => (typeof title === 'string' ? title : title(view)));
/** A view in one line, for what is no terminal. */
const plainLine = (view) => joined(([, , value]) => value(view));

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
const top = {
    name: 'top',
    summary: 'live view: line, headroom, pressure, and the processes that have this package loaded',
    options: {
        interval: { type: 'string', value: 'TIME', help: 'time between two samples, such as 500ms or 2s (1s)' },
        count: { type: 'string', value: 'N', help: 'end after so many samples' },
        pid: { type: 'string', value: 'PID', help: 'look at the cgroups and the memory of that process' },
        ...lineOptions,
        json: { type: 'boolean', help: 'print one JSON document a line, for every sample' },
    },
    lineByLine: true,
    run: run$1,
};
async function run$1(args) {
    const ending = await watch(args);
    if (typeof ending === 'number')
        return ending;
    // Whoever sent it shall see that it was obeyed.
    process.kill(process.pid, ending);
    return Exit.trouble;
}
async function watch(args) {
    const env_1 = { stack: [], error: void 0, hasError: false };
    try {
        const samples = new Samples(args);
        let ending;
        const end = (how) => {
            ending ??= how;
            samples.close();
        };
        const _signals = __addDisposableResource(env_1, onEndingSignal((signal) => end(signal === 'SIGINT' ? Exit.interrupted : signal))
        // Whoever read the output has seen enough; other errors end the process elsewhere.
        , false);
        // Whoever read the output has seen enough; other errors end the process elsewhere.
        process.stdout.once('error', () => end(Exit.fine));
        const output = __addDisposableResource(env_1, outputOf(args, end), false);
        for await (const view of samples)
            output.show(view);
        return ending ?? Exit.fine;
    }
    catch (e_1) {
        env_1.error = e_1;
        env_1.hasError = true;
    }
    finally {
        __disposeResources(env_1);
    }
}
function outputOf(args, end) {
    if (args.flag('json'))
        return { show: (view) => printDocumentLine(documentOf(view)), [Symbol.dispose]: () => { } };
    return process.stdout.isTTY && process.env.TERM !== 'dumb' ? terminal(end) : plainLines();
}
function plainLines() {
    let isFirst = true;
    return {
        show: (view) => {
            printLines([...(isFirst ? [plainTitles(view)] : []), plainLine(view)]);
            isFirst = false;
        },
        [Symbol.dispose]: () => { },
    };
}
const CTRL_C = '\x03';
function terminal(end) {
    let last;
    const draw = () => {
        if (last)
            screen.draw(frame(pageFor(process.stdout), last));
    };
    const screen = new Screen(process.stdout);
    const keys = onKey(process.stdin, (key) => {
        if (key === 'q' || key === 'Q')
            end(Exit.fine);
        if (key === CTRL_C)
            end(Exit.interrupted);
    });
    process.stdout.on('resize', draw);
    return {
        show: (view) => {
            last = view;
            draw();
        },
        [Symbol.dispose]: () => {
            process.stdout.off('resize', draw);
            keys[Symbol.dispose]();
            screen[Symbol.dispose]();
        },
    };
}
/** Views of the memory as they come, until there have been enough. */
class Samples {
    #pid;
    #isOther;
    #line;
    #monitor;
    #intervalMs;
    #count;
    #tellsGpus = true;
    constructor(args) {
        const pid = otherProcess(args);
        this.#intervalMs = args.duration('interval') ?? 1000;
        this.#count = args.count('count') ?? Number.POSITIVE_INFINITY;
        measuredMachine();
        const budget = plimsoll.MemoryBudget.forThisMachine({ ...lineFrom(args), ...(pid !== undefined && { pid }) });
        this.#isOther = pid !== undefined;
        this.#pid = pid ?? process.pid;
        this.#line = lineOf(budget);
        this.#monitor = new plimsoll.MemoryMonitor(budget);
        this.#monitor.start({ intervalMs: this.#intervalMs, refuseAtCritical: false, historyCount: 0 });
    }
    close() {
        this.#monitor.close();
    }
    async *[Symbol.asyncIterator]() {
        // The monitor alone keeps no process alive.
        const awake = setInterval(() => { }, 2 ** 30);
        try {
            yield* this.#views();
        }
        finally {
            clearInterval(awake);
            this.close();
        }
    }
    /** Who holds memory of the GPUs. A machine that does not tell is not asked again: its libraries would be looked for. */
    async #gpuProcesses() {
        if (!this.#tellsGpus)
            return undefined;
        try {
            return await plimsoll.gpuProcesses();
        }
        catch (error) {
            if (!(error instanceof plimsoll.DeviceUnavailableError))
                throw error;
            this.#tellsGpus = false;
            return undefined;
        }
    }
    async *#views() {
        let failure;
        this.#monitor.on('unavailable', (reason) => {
            failure = reason;
            this.close();
        });
        let firstKillCount;
        let shown = 0;
        for await (const sample of this.#monitor) {
            // The process that was looked at has ended.
            if (this.#isOther && !sample.process)
                return;
            firstKillCount ??= sample.oomKillCount;
            yield {
                sample,
                pid: this.#pid,
                isOther: this.#isOther,
                line: this.#line,
                killCount: Math.max((sample.oomKillCount ?? 0) - (firstKillCount ?? 0), 0),
                processes: await plimsoll.processes({ loaded: true }),
                gpuProcesses: await this.#gpuProcesses(),
                intervalMs: this.#intervalMs,
            };
            shown += 1;
            if (shown >= this.#count)
                return;
        }
        // Of one that has ended no limit is known either.
        if (this.#isOther && !measured(() => plimsoll.processMemory({ pid: this.#pid })))
            return;
        if (failure !== undefined)
            throw new SystemError(`expected to read the machine's memory, but ${failure}`);
    }
}
/** The process named by `--pid`, if one is. */
function otherProcess(args) {
    const pid = args.count('pid');
    if (pid === undefined || measured(() => plimsoll.processMemory({ pid })))
        return pid;
    throw new UsageError(`expected --pid to be the id of a running process, got "${pid}"`);
}
const processDocument = (process) => filled(process, {
    parentPid: null,
    peakRssBytes: null,
    anonymousBytes: null,
    fileBytes: null,
    shmemBytes: null,
});
const gpuProcessDocument = (process) => filled(process, { name: null, gpu: null, bytes: null });
const documentOf = ({ sample, pid, line, killCount, processes, gpuProcesses }) => ({
    timeMs: sample.timeMs,
    level: sample.level,
    usedPercent: sample.usedPercent,
    constraint: sample.constraint,
    pid,
    line,
    headroom: headroomDocument(sample.headroom),
    machine: machineDocument(sample.memory),
    pressure: sample.pressure ?? null,
    zram: sample.zram ?? null,
    dark: sample.dark ? darkDocument(sample.dark) : null,
    freeHugeBlockCount: sample.freeHugeBlockCount ?? null,
    oomKillCount: sample.oomKillCount ?? null,
    killCount: sample.oomKillCount === undefined ? null : killCount,
    process: sample.process ?? null,
    processes: processes.map(processDocument),
    gpuProcesses: gpuProcesses?.map(gpuProcessDocument) ?? null,
});

/** Every verb of the command line, in the order of the help. */
const verbs = [doctor, inspect, load, pools, replay, top];
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
    if (typeof report === 'number')
        return report;
    if (args.flag('json'))
        printDocument(report.document);
    else
        printLines(report.lines(pageFor(process.stdout)));
    return report.exitCode ?? Exit.fine;
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
    const print = verb?.lineByLine ? printDocumentLine : printDocument;
    if (argv.includes('--json'))
        print(told.document);
    return told.exitCode;
}
watchOutput();
main(process.argv.slice(2)).then((exitCode) => {
    process.exitCode = exitCode;
});
