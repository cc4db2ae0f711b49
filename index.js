'use strict';

Object.defineProperty(exports, Symbol.toStringTag, { value: 'Module' });

const node_fs = require('node:fs');
const node_path = require('node:path');
const fastestLevenshtein = require('fastest-levenshtein');
const node_buffer = require('node:buffer');
const node_url = require('node:url');
const node_util = require('node:util');

const platforms = {
    'linux-x64': { name: 'linux-x64-gnu', resolveAddon: () => require.resolve('plimsoll-linux-x64-gnu') },
    'linux-arm64': { name: 'linux-arm64-gnu', resolveAddon: () => require.resolve('plimsoll-linux-arm64-gnu') },
};
/** The names of the platforms that addons are made for. */
const supportedPlatforms = Object.values(platforms).map(({ name }) => name);
const system = `${process.platform}-${process.arch}`;
/** The platform of this process, if its system and processor are those of one. Its C library is not looked at yet. */
const platform = platforms[system];
/** What this process runs on, such as `linux-x64-musl`. It asks for a report, which takes a while: for failures only. */
function foundPlatform() {
    if (!platform)
        return system;
    if (glibcVersion() !== undefined)
        return `${system}-gnu`;
    return report().sharedObjects.some((path) => path.includes('musl')) ? `${system}-musl` : system;
}
/** The version of the GNU C library that this process runs on; `undefined` on another one. */
const glibcVersion = () => report().header.glibcVersionRuntime;
/**
 * Whether this process runs on the GNU C library. It has to be asked before loading: musl takes an addon that is made
 * for glibc, as long as it finds the symbols. The memory map says yes in a hundredth of a report's time; what else it
 * says is no proof.
 */
const runsOnGlibc = () => mapsGlibc() || glibcVersion() !== undefined;
function mapsGlibc() {
    try {
        return /\/libc(\.so\.6|-2\.\d+\.so)$/m.test(node_fs.readFileSync('/proc/self/maps', 'latin1'));
    }
    catch {
        return false;
    }
}
function report() {
    const source = process.report;
    // Programs that stand in for Node.js may have none.
    if (!source)
        return { header: {}, sharedObjects: [] };
    const { excludeNetwork = false } = source;
    // The names of open connections' peers would be asked for, which may take seconds.
    source.excludeNetwork = true;
    try {
        return source.getReport();
    }
    finally {
        source.excludeNetwork = excludeNetwork;
    }
}

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
};
for (const type of [PlimsollError, AbortError, AddonUnavailableError, ...Object.values(classes)]) {
    Object.defineProperty(type.prototype, 'name', { value: type.name, configurable: true, writable: true });
}
/** The error that an addon's error stands for, in this realm and of its class; anything else as it is. */
function fromNative(error) {
    const code = error?.code;
    if (code === 'ABORT_ERR')
        return new AbortError(undefined);
    if (typeof code !== 'string' || !Object.hasOwn(classes, code))
        return error;
    const { message, ...details } = { ...error, message: error.message };
    const type = classes[code];
    return new type(code, message, details);
}
/** Calls into the addon and lets its errors out as ours. */
function call(native) {
    try {
        return native();
    }
    catch (error) {
        throw fromNative(error);
    }
}
function addonUnavailable(reason, message, { path, cause } = {}) {
    const details = { reason, platform: foundPlatform(), supported: supportedPlatforms, ...(path && { path }) };
    return new AddonUnavailableError('ERR_ADDON_UNAVAILABLE', message, details, { cause });
}
/** There is no addon for what this process runs on. */
function platformUnsupported() {
    const found = foundPlatform();
    const message = `expected one of the platforms ${supportedPlatforms.join(', ')}, found ${found}; ${otherPlatform(found)}`;
    return addonUnavailable('unsupported-platform', message);
}
function otherPlatform(found) {
    if (found.endsWith('-musl'))
        return 'use a system or an image with glibc, such as Debian or Ubuntu';
    if (/-(arm|ia32)$/.test(found))
        return 'install a 64-bit Node.js, on a 64-bit system';
    return 'use one of those, for example in a container';
}
function invalidArgument(argument, expected, received) {
    const text = typeof received === 'string' ? received : describe(received);
    const message = `expected ${argument} to be ${expected}, got ${text}`;
    return new InvalidArgumentError('ERR_INVALID_ARGUMENT', message, { argument, expected, received: text });
}
function released(what) {
    const message = `expected ${what} to be live, but it was released; take a new one`;
    return new ReleasedError('ERR_RELEASED', message, { what });
}
/** A value as a reader of an error message wants it. */
function describe(value) {
    if (value === null || value === undefined)
        return String(value);
    if (typeof value === 'string')
        return JSON.stringify(value);
    if (typeof value === 'function')
        return 'a function';
    if (typeof value === 'bigint')
        return `${value}n`;
    if (typeof value !== 'object')
        return String(value);
    const name = value.constructor?.name ?? 'object';
    return `${/^[aeio]/i.test(name) ? 'an' : 'a'} ${name}`;
}
/** Quotes a string for {@link invalidArgument}, so that it is not taken for a description. */
const quoted = (value) => (typeof value === 'string' ? JSON.stringify(value) : value);

/** What the constructors of this package's own objects ask for. */
const internal = Symbol('internal');
/** Refuses a constructor that was called from outside: `new Type()` where only `maker` makes one. */
function expectInternal(mark, type, maker) {
    if (mark !== internal)
        throw invalidArgument(`new ${type}()`, `left to ${maker}`, 'a call');
}

/** The size of a 64-bit ELF header, in bytes. */
const ELF_HEADER_BYTES = 64;
const MAGIC = 0x7f454c46;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
/** Machines as Node.js calls them. */
const machines = { 3: 'ia32', 40: 'arm', 62: 'x64', 183: 'arm64' };
/**
 * What keeps a file from being a whole ELF file for this processor, in words; `undefined` if nothing does.
 *
 * A file that was cut short must not get to the dynamic linker, which maps it: touching what is not there ends the
 * process with SIGBUS. The section headers come last in what linkers write, so a file that has them has all of it.
 * Layout: `elf(5)`, `Elf64_Ehdr`.
 *
 * @param header the first {@link ELF_HEADER_BYTES} of the file, or all there are
 * @param sizeBytes the size of the file
 */
function elfFault(header, sizeBytes) {
    if (sizeBytes === 0)
        return 'it is empty';
    if (header.byteLength < 4 || header.getUint32(0) !== MAGIC)
        return 'it is no ELF file';
    if (header.byteLength < ELF_HEADER_BYTES)
        return `it ends after ${sizeBytes} bytes, within its header`;
    if (header.getUint8(4) !== CLASS_64 || header.getUint8(5) !== LITTLE_ENDIAN)
        return 'it is no 64-bit little-endian ELF file';
    const machine = header.getUint16(18, true);
    const name = machines[machine] ?? `ELF machine ${machine}`;
    if (name !== process.arch)
        return `it is built for ${name}, and this Node.js for ${process.arch}`;
    const endBytes = Number(header.getBigUint64(40, true)) + header.getUint16(58, true) * header.getUint16(60, true);
    if (endBytes > sizeBytes)
        return `it ends after ${sizeBytes} of ${endBytes} bytes`;
    return undefined;
}

/** Whether the environment asks for the checksum. */
function sha256Asked() {
    const asked = process.env.PLIMSOLL_VERIFY_ADDON;
    if (!asked || asked === 'sha256')
        return asked === 'sha256';
    throw addonUnavailable('invalid-setting', `expected PLIMSOLL_VERIFY_ADDON to be "sha256" or unset, got "${asked}"`);
}
/** Checks all that can be checked without loading the file. Returns its size in bytes. */
function checkAddonFile(file, verifySha256) {
    const { header, sizeBytes } = readHeader(file);
    checkSize(file, sizeBytes);
    if (verifySha256)
        checkSha256(file);
    const fault = elfFault(header, sizeBytes);
    if (fault !== undefined)
        throw refusal(file, 'not-an-addon', `expected ${file.path} to be the addon, but ${fault}`);
    return sizeBytes;
}
function refusal(file, reason, message, cause) {
    return addonUnavailable(reason, `${message}; ${file.remedy}`, { path: file.path, cause });
}
function readHeader(file) {
    return reading(file, () => {
        const stats = node_fs.statSync(file.path);
        // Opening a pipe would wait for its writer.
        if (!stats.isFile())
            throw new Error('it is no regular file');
        const descriptor = node_fs.openSync(file.path, 'r');
        try {
            const header = new DataView(new ArrayBuffer(ELF_HEADER_BYTES));
            const length = node_fs.readSync(descriptor, header);
            return { header: new DataView(header.buffer, 0, length), sizeBytes: stats.size };
        }
        finally {
            node_fs.closeSync(descriptor);
        }
    });
}
function reading(file, read) {
    try {
        return read();
    }
    catch (cause) {
        throw refusal(file, 'unreadable', `expected to read ${file.path}, but ${cause.message}`, cause);
    }
}
function checkSize(file, sizeBytes) {
    const { path, stated } = file;
    if (!stated || stated.sizeBytes === sizeBytes)
        return;
    const expected = stated.sizeBytes ?? 'stated by its package';
    const message = `expected the size of ${path} in bytes to be ${expected}, got ${sizeBytes}`;
    throw refusal(file, 'size-mismatch', message);
}
function checkSha256(file) {
    const { path, stated } = file;
    if (!stated) {
        const message = `expected a package to state the SHA-256 of ${path}, but it was built here; unset PLIMSOLL_VERIFY_ADDON`;
        throw addonUnavailable('invalid-setting', message, { path });
    }
    const sha256 = reading(file, () => sha256Of(path));
    if (sha256 === stated.sha256)
        return;
    const expected = stated.sha256 ?? 'stated by its package';
    throw refusal(file, 'checksum-mismatch', `expected the SHA-256 of ${path} to be ${expected}, got ${sha256}`);
}
function sha256Of(path) {
    // Loaded here because it takes longer than all other checks together.
    const { createHash } = require('node:crypto');
    return createHash('sha256').update(node_fs.readFileSync(path)).digest('hex');
}

const { version } = require('./package.json');
/** Finds the addon, checks it, and only then loads it. */
function loadAddon() {
    if (!platform)
        throw platformUnsupported();
    const sha256Verified = sha256Asked();
    const file = locate(platform);
    const sizeBytes = checkAddonFile(file, sha256Verified);
    const binding = load(file);
    return { binding, loaded: { path: file.path, platform: platform.name, version, sizeBytes, sha256Verified } };
}
function locate(platform) {
    const chosen = process.env.PLIMSOLL_ADDON_PATH;
    if (chosen)
        return chosenFile(chosen);
    if (!runsOnGlibc())
        throw platformUnsupported();
    const built = node_path.join(__dirname, `plimsoll.${platform.name}.node`);
    return node_fs.existsSync(built) ? { path: built, remedy: 'build it again with `npm run build`' } : packagedFile(platform);
}
function chosenFile(chosen) {
    const remedy = 'build it again, or unset PLIMSOLL_ADDON_PATH';
    const path = realPath(chosen, remedy);
    if (path.endsWith('.node'))
        return { path, remedy };
    // Node.js would read it as JavaScript.
    const message = `expected PLIMSOLL_ADDON_PATH to name a file that ends in .node, got ${path}`;
    throw addonUnavailable('invalid-setting', message, { path });
}
function realPath(path, remedy) {
    try {
        return node_fs.realpathSync(path);
    }
    catch (cause) {
        const message = `expected PLIMSOLL_ADDON_PATH to name a file, but ${cause.message}; ${remedy}`;
        throw addonUnavailable('unreadable', message, { path, cause });
    }
}
function packagedFile({ name, resolveAddon }) {
    const { path, description } = describedAddon(name, resolveAddon);
    const remedy = 'delete node_modules and install again';
    if (description.version === version)
        return { path, stated: description.addon ?? {}, remedy };
    const message = `expected version ${version} of the package plimsoll-${name}, as of plimsoll itself, found ${description.version} in ` +
        `${node_path.dirname(path)}; ${remedy}`;
    throw addonUnavailable('version-mismatch', message, { path });
}
function describedAddon(name, resolveAddon) {
    try {
        const path = resolveAddon();
        return { path, description: JSON.parse(node_fs.readFileSync(node_path.join(node_path.dirname(path), 'package.json'), 'utf8')) };
    }
    catch (cause) {
        throw packageMissing(name, cause);
    }
}
function packageMissing(name, cause) {
    // What else went wrong with a package that is there has to be told.
    const why = cause.code === 'MODULE_NOT_FOUND' ? '' : ` (${cause.message.split('\n')[0]})`;
    const message = node_fs.existsSync(node_path.join(__dirname, 'Cargo.toml'))
        ? `expected plimsoll.${name}.node in this checkout, found none; build it with \`npm run build\``
        : `expected the package plimsoll-${name} ${version} beside plimsoll, found none that is whole${why}; reinstall with ` +
            '`npm install --include=optional`, without a node_modules or lockfile from another platform (npm/cli#4828), and ' +
            `when installing from another machine add \`--os=linux --cpu=${process.arch} --libc=glibc\``;
    return addonUnavailable('package-missing', message, { cause });
}
function load({ path, remedy }) {
    const binding = required(path, remedy);
    const found = binding.version?.();
    if (found === version)
        return binding;
    const message = `expected the addon ${path} to be of version ${version}, as its JavaScript is, found ${found ?? 'none'}; ${remedy}`;
    throw addonUnavailable('version-mismatch', message, { path });
}
/** What the file exports: all of the binding only if it is of our version. */
function required(path, remedy) {
    try {
        return require(path);
    }
    catch (cause) {
        throw refusedByLinker(path, remedy, cause);
    }
}
function refusedByLinker(path, remedy, cause) {
    const [, needed] = /GLIBC_([\d.]+)' not found/.exec(cause.message) ?? [];
    if (needed === undefined) {
        const message = `expected the addon to load, but ${cause.message}; ${remedy}`;
        return addonUnavailable('load-failed', message, { path, cause });
    }
    const message = `expected glibc ${needed} or newer, which ${path} needs, found ${glibcVersion()}; use a newer system, or build the ` +
        'addon on this one';
    return addonUnavailable('unsupported-platform', message, { path, cause });
}

const { binding, loaded } = loadAddon();
/** The addon. Everything else in `lib/` reaches it through here. */
const { boardPresets: boardPresets$1, detach: detach$1, formatBytes: formatBytes$1, instructionSet: instructionSet$1, leakWarning, machineMemory: machineMemory$1, parseBytes: parseBytes$1, processMemory: processMemory$1, } = binding;
const NativeBudget = binding.NativeBudget;
const NativeBufferPool = binding.NativeBufferPool;
const NativeModel = binding.NativeModel;

/** The net: gives back what a collected guard held. */
const net = new FinalizationRegistry((state) => {
    if (state.released)
        return;
    state.released = true;
    state.native.release(state.key);
    if (!state.attached)
        warnOfLeak(state);
});
/** Guards kept alive by the objects they are attached to. */
const attachments = new WeakMap();
function warnOfLeak({ label, sizeBytes }) {
    const message = `An allocation of ${sizeBytes} bytes labelled "${label}" was collected without being released. ` +
        'Its bytes were given back now; call release(), use `using`, or attach() it to the object it belongs to.';
    process.emitWarning(leakWarning(message, label, sizeBytes));
}
/** Makes the guard for a key of the addon. */
let guard;
/**
 * A guard over part of a budget. It gives its bytes back once: on {@link release}, at the end of a `using` block, or
 * with the object it is {@link attach | attached} to.
 *
 * A guard that is dropped without any of these is given back when it is collected, on a later turn of the event loop,
 * and a `PlimsollLeakWarning` with its `label` and `sizeBytes` is emitted on `process`.
 *
 * @example
 * {
 *   using cache = budget.allocate(512 * MiB, 'kv cache')
 *   // ...
 * } // given back here
 */
class Allocation {
    #state;
    /** The sets of {@link attachments} that it is in, to leave them when it is released. */
    #attachedTo;
    static {
        guard = (native, key, sizeBytes, label) => new Allocation(internal, native, key, sizeBytes, label);
    }
    constructor(mark, native, key, sizeBytes, label) {
        expectInternal(mark, 'Allocation', 'budget.allocate()');
        this.#state = { native, key, label, sizeBytes, attached: false, released: false };
        net.register(this, this.#state, this.#state);
    }
    /** The size of the allocation, in bytes. */
    get sizeBytes() {
        return this.#state.sizeBytes;
    }
    /** The label it was taken under. */
    get label() {
        return this.#state.label;
    }
    /** Whether its bytes have been given back. */
    get released() {
        return this.#state.released;
    }
    /**
     * The time since it was granted, in milliseconds.
     *
     * @throws {@link ReleasedError} after it was released.
     */
    get ageMs() {
        return this.#live().native.ageMs(this.#state.key);
    }
    /** Gives the bytes back. A second call does nothing. */
    release() {
        const state = this.#state;
        if (state.released)
            return;
        state.released = true;
        net.unregister(state);
        for (const guards of this.#attachedTo ?? [])
            guards.delete(this);
        state.native.release(state.key);
    }
    /** The same as {@link release}, for `using`. */
    [Symbol.dispose]() {
        this.release();
    }
    /**
     * Lets the allocation live as long as `object`: it is given back, without a warning, once the object is collected.
     * It may still be released before. Returns the allocation.
     *
     * @throws {@link InvalidArgumentError} when `object` is no object or function, or the allocation itself.
     * @throws {@link ReleasedError} after it was released.
     */
    attach(object) {
        if ((typeof object !== 'object' && typeof object !== 'function') || object === null || object === this) {
            throw invalidArgument('object', 'the object that the allocation belongs to', object === this ? 'itself' : object);
        }
        this.#live().attached = true;
        const guards = attachments.get(object) ?? new Set();
        attachments.set(object, guards.add(this));
        this.#attachedTo = [...(this.#attachedTo ?? []), guards];
        return this;
    }
    #live() {
        if (this.#state.released)
            throw released('the allocation');
        return this.#state;
    }
}

/** What a size may be at most: every figure up to it is exact in a JavaScript number. */
const MAX_BYTES = Number.MAX_SAFE_INTEGER;
/** Checks a size: a whole number of bytes from `least` to `most`. */
function bytes(name, value, least = 0, most = MAX_BYTES) {
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most)
        return value + 0; // No -0.
    throw invalidArgument(name, `a whole number of bytes from ${least} to ${most}`, quoted(value));
}
function string(name, value) {
    if (typeof value === 'string')
        return value;
    throw invalidArgument(name, 'a string', value);
}
function boolean(name, value) {
    if (typeof value === 'boolean')
        return value;
    throw invalidArgument(name, 'true or false', quoted(value));
}
function percent(name, value) {
    if (typeof value === 'number' && value >= 0 && value < 100)
        return value;
    throw invalidArgument(name, 'a number from 0 to below 100', quoted(value));
}
function oneOf(name, value, allowed) {
    if (allowed.includes(value))
        return value;
    const expected = `one of ${allowed.map((item) => `"${item}"`).join(', ')}`;
    const received = typeof value === 'string' ? `${JSON.stringify(value)}${didYouMean(value, allowed)}` : value;
    throw invalidArgument(name, expected, received);
}
/** An object of ours with its native half; one that only looks like it has none. */
function real(name, value, type, native) {
    if (typeof value === 'object' && value !== null && native(value) !== undefined)
        return value;
    throw invalidArgument(name, `a ${type.name}`, quoted(value));
}
/** An AbortSignal, of any realm. */
function signal(name, value) {
    const candidate = value;
    const listens = typeof candidate?.addEventListener === 'function' && typeof candidate.removeEventListener === 'function';
    if (listens && typeof candidate.aborted === 'boolean')
        return value;
    throw invalidArgument(name, 'an AbortSignal', quoted(value));
}
function callback(name, value) {
    if (typeof value === 'function')
        return value;
    throw invalidArgument(name, 'a function', quoted(value));
}
function strings(name, value) {
    // Array.from also visits the holes of a sparse array.
    if (Array.isArray(value) && Array.from(value).every((item) => typeof item === 'string'))
        return value;
    throw invalidArgument(name, 'an array of strings', quoted(value));
}
/**
 * Checks an options object: every key must be known, every value pass its check. A misspelt option is an error that
 * names the nearest right one.
 */
function options(value, checks) {
    if (value === undefined)
        return Object.create(null);
    if (Object.prototype.toString.call(value) !== '[object Object]') {
        throw invalidArgument('options', 'a plain object', quoted(value));
    }
    const known = Object.keys(checks);
    const checked = Object.create(null); // Nothing comes in through a prototype.
    for (const [key, item] of Object.entries(value)) {
        if (!known.includes(key)) {
            const expected = known.length > 0 ? `an object with no keys but ${known.join(', ')}` : 'an object without keys';
            throw invalidArgument('options', expected, `the key "${key}"${didYouMean(key, known)}`);
        }
        if (item !== undefined)
            checked[key] = checks[key](key, item);
    }
    return checked;
}
function didYouMean(word, known) {
    return known.length === 0 ? '' : ` (did you mean "${fastestLevenshtein.closest(word, known)}"?)`;
}

/** The boards this package knows by name. */
const boardPresets = Object.freeze(boardPresets$1().map((board) => Object.freeze(board)));
const ids = boardPresets.map((board) => board.id);
/** Checks the id of a board. */
const boardId = (name, value) => oneOf(name, value, ids);
/** Checks the id of a board, or `'auto'`. */
const autoOrBoardId = (name, value) => oneOf(name, value, ['auto', ...ids]);
/** The RAM of this machine now. Figures that the system does not give read 0. */
function machineMemory() {
    return machineMemory$1();
}
/**
 * What this process holds now: resident memory with its anonymous, file and shared parts, and the peak.
 *
 * @throws {@link IoError} where `/proc` is not mounted.
 */
function processMemory() {
    return call(processMemory$1);
}
/** The instruction set that the dequantisers run with on this machine: `"avx2+f16c"`, `"neon"` or `"portable"`. */
function instructionSet() {
    return instructionSet$1();
}
/** The native addon that this process has loaded: which file, for which platform, and how it was checked. */
function loadedAddon() {
    return { ...loaded };
}

/** Checks the options of a budget of this machine. */
const machineBudgetChecks = {
    board: autoOrBoardId,
    safetyMarginPercent: percent,
    maxBytes: (name, value) => bytes(name, value),
    isolated: boolean,
};
/** The native budgets behind the public ones, for the parts of this package that count against a budget. */
const natives$1 = new WeakMap();
/** @internal */
const nativeBudget = (budget) => natives$1.get(budget);
/**
 * How much of a machine may be used, and who uses it.
 *
 * A budget counts what its user is about to take; it allocates no memory itself. One atomic step takes and one gives
 * back, so the sum of live allocations passes the line in no interleaving of threads.
 *
 * @example
 * const budget = MemoryBudget.forBoard('orin-nano-8gb')   // 8192 MiB, 6144 MiB usable
 * const weights = budget.allocate(2000 * MiB, 'weights')
 * budget.availableBytes                                    // 4144 MiB
 * weights.release()
 */
class MemoryBudget {
    #native;
    constructor(first, of) {
        this.#native = first === internal && of ? of : ofNumbers(first);
        natives$1.set(this, this.#native);
    }
    /**
     * A budget of just the board's numbers, whatever machine this is.
     *
     * @throws {@link InvalidArgumentError} for a board that has no preset.
     */
    static forBoard(board) {
        return new MemoryBudget(internal, NativeBudget.ofBoard(boardId('board', board)));
    }
    /**
     * The budget of this machine. Its line is the lowest of: the memory less the reserve, the memory less the safety
     * margin, the board's usable memory if a board is given, the cgroup's limit less its floor (3 %, at least 16 MiB),
     * and `maxBytes`.
     *
     * @throws {@link InvalidArgumentError} for an unknown or unfit option, or when the machine's memory cannot be read.
     */
    static forThisMachine(options$1) {
        const { board, isolated = false, ...rest } = options(options$1, machineBudgetChecks);
        const preset = board === undefined || board === 'auto' ? {} : { board };
        const made = call(() => NativeBudget.ofThisMachine({ ...rest, ...preset, isolated }));
        return new MemoryBudget(internal, made);
    }
    /** Memory of the board or machine, in bytes. */
    get totalBytes() {
        return this.#native.totalBytes;
    }
    /** What is kept for the system, in bytes. */
    get reservedBytes() {
        return this.#native.reservedBytes;
    }
    /** What may be used at most, in bytes: the line. */
    get usableBytes() {
        return this.#native.usableBytes;
    }
    /** The line, in bytes: the lowest of {@link terms}. The same number as {@link usableBytes}. */
    get lineBytes() {
        return this.#native.usableBytes;
    }
    /** Every bound that was weighed to draw the line. */
    get terms() {
        return this.#native.terms();
    }
    /** The bound that draws the line. */
    get bindingTerm() {
        return this.#native.bindingTerm();
    }
    /** What live allocations hold, in bytes. */
    get allocatedBytes() {
        return this.#native.allocatedBytes;
    }
    /** What can still be allocated now, in bytes. */
    get availableBytes() {
        return this.#native.availableBytes;
    }
    /** The most that was ever allocated at once, in bytes. */
    get peakBytes() {
        return this.#native.peakBytes;
    }
    /** Share of the line that is allocated, 0 to 100; above only where a budget with a higher line shares the count. */
    get utilizationPercent() {
        return this.#native.utilizationPercent;
    }
    /** The live allocations, oldest first; of all budgets that share the count, in all threads. */
    allocations() {
        return this.#native.allocations();
    }
    /**
     * Whether {@link allocate} would grant this many bytes now. Another thread may take them in between: only the
     * allocation is binding.
     *
     * @throws {@link InvalidArgumentError} when `bytes` is no whole number from 0 up.
     */
    canAllocate(bytes$1) {
        return bytes('bytes', bytes$1) <= this.#native.availableBytes;
    }
    /**
     * Takes bytes off the budget, or refuses and takes nothing. It answers at once: guards that were dropped but are
     * not yet collected still count.
     *
     * @param bytes - a whole number from 0 up
     * @param label - what the bytes are for, as lists and errors will call it
     * @throws {@link InsufficientMemoryError} when that many are not available.
     * @throws {@link InvalidArgumentError} when an argument is unfit.
     */
    allocate(bytes$1, label) {
        const sizeBytes = bytes('bytes', bytes$1);
        string('label', label);
        let key;
        try {
            key = this.#native.allocate(sizeBytes, label);
        }
        catch (error) {
            throw fromNative(error);
        }
        return guard(this.#native, key, sizeBytes, label);
    }
}
function ofNumbers(numbers) {
    const { totalBytes, reservedBytes = 0 } = options(numbers, {
        totalBytes: (name, value) => bytes(name, value),
        reservedBytes: (name, value) => bytes(name, value),
    });
    const total = bytes('totalBytes', totalBytes);
    return call(() => NativeBudget.ofNumbers(total, reservedBytes));
}

/** Detaches an array buffer that is not empty. */
const detachFull = 
// Node.js 22 and later do it without leaving JavaScript; for Node.js 20 the addon does.
typeof ArrayBuffer.prototype.transfer === 'function' ? (buffer) => void buffer.transfer(0) : detach$1;
/**
 * Detaches an array buffer, so that every view of it has length 0. Returns whether it still had its memory: `false` if
 * somebody else has detached it, and moved its memory to another array buffer.
 */
function detach(buffer) {
    if (buffer.byteLength === 0)
        return false;
    detachFull(buffer);
    return true;
}

/** 2^10 bytes. */
const KiB = 1024;
/** 2^20 bytes. */
const MiB = 1024 * KiB;
/** 2^30 bytes. */
const GiB = 1024 * MiB;
/**
 * Reads a size as people write it.
 *
 * A bare number, or one with `B`, is bytes; `KiB`, `MiB`, `GiB` and so on, and the bare letters `K`, `M`, `G`, `T`, are
 * powers of two; `KB`, `MB`, `GB` and so on are powers of ten. Upper or lower case, with or without a space.
 *
 * @throws {@link InvalidArgumentError} for anything else.
 * @example
 * parseBytes('6 GiB') // 6442450944
 * parseBytes('8GB')   // 8000000000
 */
function parseBytes(text) {
    return call(() => parseBytes$1(string('text', text)));
}
/**
 * Writes a size for people: the largest binary unit that leaves a number of one or more, two decimals.
 *
 * @example
 * formatBytes(6 * GiB) // '6.00 GiB'
 */
function formatBytes(bytes$1) {
    return formatBytes$1(bytes('bytes', bytes$1));
}

/** Checks the options of a pool. */
const bufferPoolChecks = {
    maxHeldBytes: (name, value) => bytes(name, value),
    zeroed: boolean,
    budget: (name, value) => real(name, value, MemoryBudget, nativeBudget),
};
const natives = new WeakMap();
/** The native pool behind a public one. */
const nativePool = (pool) => natives.get(pool);
/**
 * A pool of page-aligned buffers, reused by size class: sizes are rounded up, four classes to every doubling.
 *
 * The loader streams through one. A buffer that is released, or collected, returns to the pool once the memory is no
 * longer seen by any view, on a later turn of the event loop.
 *
 * @example
 * const pool = new BufferPool({ maxHeldBytes: 32 * MiB, budget })
 * using buffer = pool.get(4 * MiB)
 * buffer.data.fill(0)
 */
class BufferPool {
    #native;
    /** @throws {@link InvalidArgumentError} for an unknown or unfit option. */
    constructor(options$1) {
        const { maxHeldBytes = 16 * MiB, zeroed = false, budget, } = options(options$1, bufferPoolChecks);
        this.#native = NativeBufferPool.create(maxHeldBytes, zeroed, budget && nativeBudget(budget));
        natives.set(this, this.#native);
    }
    /**
     * Hands out a buffer. Unless the pool is `zeroed`, it may still hold what its last user left in it.
     *
     * @throws {@link InsufficientMemoryError} when the budget, or the system, refuses; idle buffers are freed before.
     * @throws {@link ReleasedError} after {@link close}.
     * @throws {@link InvalidArgumentError} when `bytes` is no whole number from 1 to `buffer.constants.MAX_LENGTH`.
     */
    get(bytes$1) {
        bytes('bytes', bytes$1, 1, node_buffer.constants.MAX_LENGTH);
        return call(() => pooled(this.#native.get(bytes$1)));
    }
    /** What the pool has done and holds. */
    stats() {
        return this.#native.stats();
    }
    /** Gives idle buffers back to the system until at most `keepBytes` (0 by default) are held; returns how many bytes. */
    trim(keepBytes = 0) {
        return this.#native.trim(bytes('keepBytes', keepBytes));
    }
    /** Gives every idle buffer back and hands out no more. Buffers in use go back when released. Idempotent. */
    close() {
        this.#native.close();
    }
    /** The same as {@link close}, for `using`. */
    [Symbol.dispose]() {
        this.close();
    }
}
/** Makes the buffer over the addon's. */
let pooled;
/** A buffer out of a {@link BufferPool}. */
class PooledBuffer {
    #native;
    #buffer;
    /** Whether its memory was given back, or away. */
    #settled = false;
    #kept = false;
    /** The buffer's bytes; length 0 after {@link release}. */
    data;
    static {
        pooled = (native) => new PooledBuffer(internal, native);
    }
    constructor(mark, native) {
        expectInternal(mark, 'PooledBuffer', 'pool.get()');
        this.#native = native;
        this.#buffer = native.arrayBuffers()[0];
        this.data = new Uint8Array(this.#buffer);
    }
    /** Returns the buffer to its pool; every view of it then has length 0. A second call, or one after {@link keep}, does nothing. */
    release() {
        if (this.#settled)
            return;
        this.#settled = true;
        // Memory that was moved to another array buffer belongs to whoever moved it.
        if (!detach(this.#buffer))
            this.#native.keep();
    }
    /** The same as {@link release}, for `using`. */
    [Symbol.dispose]() {
        this.release();
    }
    /**
     * Takes the buffer out of the pool for good and returns its bytes: they live until they are collected, and count
     * against the pool's budget until then.
     *
     * @throws {@link ReleasedError} after the buffer was released.
     */
    keep() {
        if (this.#kept)
            return this.data;
        if (this.#settled)
            throw released('the buffer');
        this.#settled = true;
        this.#kept = true;
        this.#native.keep();
        return this.data;
    }
}

/** The arrays that hold the forms, and the bytes of one of their elements. Half floats come as their bits. */
const outputs = {
    raw: { array: Uint8Array, elementBytes: 1 },
    f32: { array: Float32Array, elementBytes: 4 },
    f16: { array: Uint16Array, elementBytes: 2 },
};
/** The forms that tensors come out as. */
const tensorOutputs = Object.freeze(Object.keys(outputs));
/** Bytes of one element of the array that holds data in this form. */
const elementBytes = (as) => outputs[as].elementBytes;
/** An array over an array buffer, whole by default. */
function view(as, buffer, byteOffset, length) {
    return new outputs[as].array(buffer, byteOffset, length);
}
/**
 * Bytes that a tensor's data takes in this form: what a program that keeps it has to reserve.
 *
 * @throws {@link InvalidArgumentError} for a form that there is none of.
 * @example
 * const bytes = model.tensors.reduce((sum, tensor) => sum + tensorDataBytes(tensor, 'f32'), 0)
 */
function tensorDataBytes(tensor, as) {
    oneOf('as', as, tensorOutputs);
    return as === 'raw' ? tensor.sizeBytes : tensor.elementCount * elementBytes(as);
}

/** Makes the chunk over its array buffer. */
let chunkOver;
/**
 * A run of whole blocks of one tensor.
 *
 * It is valid until the next one is asked for, or until {@link release}: then its memory goes back to the pool and
 * every view of it, `data` and any made from it, has length 0. An asynchronous operation that was given `data` must be
 * awaited before that, or be given a copy.
 */
class TensorChunk {
    #unit;
    #buffer;
    /** Whether its memory was given back, or away. */
    #settled = false;
    #kept = false;
    #data;
    /** The name of the tensor. */
    tensor;
    /** The first element of the tensor that the chunk holds. */
    elementStart;
    /** The element after the last one that the chunk holds. */
    elementEnd;
    /** Where the chunk's stored bytes start, relative to the tensor's first byte. */
    byteStart;
    /** Where the chunk's stored bytes end. */
    byteEnd;
    static {
        chunkOver = (unit, buffer, as, place) => new TensorChunk(internal, unit, buffer, as, place);
    }
    constructor(mark, unit, buffer, as, place) {
        expectInternal(mark, 'TensorChunk', 'model.stream()');
        this.#unit = unit;
        this.#buffer = buffer;
        this.#data = view(as, buffer);
        this.tensor = place.tensor;
        this.elementStart = place.elementStart;
        this.elementEnd = place.elementEnd;
        this.byteStart = place.byteStart;
        this.byteEnd = place.byteEnd;
    }
    /** The data: `Uint8Array` of stored bytes, `Float32Array`, or `Uint16Array` of half-float bits. */
    get data() {
        return this.#data;
    }
    /** Gives the memory back before the next chunk is asked for. A second call, or one after {@link keep}, does nothing. */
    release() {
        if (this.#settled)
            return;
        this.#settled = true;
        // Memory that was moved to another array buffer belongs to whoever moved it.
        if (!detach(this.#buffer))
            this.#unit.keep();
    }
    /** The same as {@link release}, for `using`. */
    [Symbol.dispose]() {
        this.release();
    }
    /**
     * Takes the data out of the pool for good and returns it; it lives until it is collected. A chunk much smaller than
     * the pooled buffer it lies in is copied instead, so that a small array does not hold on to a large buffer.
     *
     * @throws {@link ReleasedError} after the chunk was released.
     */
    keep() {
        if (this.#kept)
            return this.#data;
        if (this.#settled)
            throw released('the chunk');
        this.#settled = true;
        this.#kept = true;
        if (this.#data.byteLength * 2 < this.#unit.sizeBytes) {
            this.#data = this.#data.slice();
            detach(this.#buffer);
        }
        else {
            this.#unit.keep();
        }
        return this.#data;
    }
}

/** Typed views over packed little-endian bytes; every supported machine is little-endian. */
const views = {
    u8: Uint8Array,
    i8: Int8Array,
    u16: Uint16Array,
    i16: Int16Array,
    u32: Uint32Array,
    i32: Int32Array,
    f32: Float32Array,
    u64: BigUint64Array,
    i64: BigInt64Array,
    f64: Float64Array,
};
/**
 * How many elements an iterator decodes at a time. Batches double, because each walks past those before it: strings
 * have no fixed place.
 */
const FIRST_BATCH = 1024;
const LARGEST_BATCH = 1 << 20;
/** Makes the array under a key, or nested in it at a path. */
let arrayAt;
/** An array in the metadata. It is kept as the bytes of the file; elements are decoded when asked for. */
class GgufArray {
    #native;
    #key;
    #path;
    /** The type all elements have. */
    elementType;
    /** Number of elements. */
    length;
    static {
        arrayAt = (native, key, path, info) => new GgufArray(internal, native, key, path, info);
    }
    constructor(mark, native, key, path, info) {
        expectInternal(mark, 'GgufArray', 'model.metadata.get()');
        this.#native = native;
        this.#key = key;
        this.#path = path;
        this.elementType = info.elementType;
        this.length = info.length;
    }
    /** Decodes the elements from `start` to `end` (all by default), with the meaning of `Array.prototype.slice`. */
    slice(start = 0, end = this.length) {
        const from = clamp(start, this.length);
        const to = Math.max(from, clamp(end, this.length));
        const elements = call(() => this.#native.metadataElements(this.#key, this.#path, from, to));
        const View = views[this.elementType];
        if (View)
            return new View(elements.slice().buffer);
        if (this.elementType === 'bool')
            return Array.from(elements, (byte) => byte !== 0);
        if (this.elementType === 'string')
            return elements;
        const nested = (info, index) => arrayAt(this.#native, this.#key, [...this.#path, from + index], info);
        return elements.map(nested);
    }
    /** Decodes every element. */
    toArray() {
        return this.slice();
    }
    /** Decodes one element; negative indices count from the end. Strings and arrays are walked from the start. */
    at(index) {
        const from = clamp(index, this.length);
        return index < -this.length ? undefined : this.slice(from, from + 1)[0];
    }
    /** Walks the elements, a batch at a time. */
    *[Symbol.iterator]() {
        let batch = FIRST_BATCH;
        for (let start = 0; start < this.length; start += batch, batch = Math.min(2 * batch, LARGEST_BATCH)) {
            yield* this.slice(start, start + batch);
        }
    }
}
function clamp(index, length) {
    const whole = Math.trunc(index) || 0;
    return Math.min(Math.max(whole < 0 ? whole + length : whole, 0), length);
}
/** Makes the metadata of a file. */
let metadataOf;
/** The metadata of a GGUF file, in file order, with the methods of a read-only `Map`. */
class GgufMetadata {
    #native;
    static {
        metadataOf = (native) => new GgufMetadata(internal, native);
    }
    constructor(mark, native) {
        expectInternal(mark, 'GgufMetadata', 'model.metadata');
        this.#native = native;
    }
    /** Number of entries. */
    get size() {
        return call(() => this.#native.metadataKeys()).length;
    }
    /** The value under `key`, `undefined` if there is none. */
    get(key) {
        const value = call(() => this.#native.metadataValue(string('key', key)));
        const isArray = typeof value === 'object' && value !== null;
        return isArray ? arrayAt(this.#native, key, [], value) : value;
    }
    /** Whether there is a value under `key`. */
    has(key) {
        return this.type(key) !== undefined;
    }
    /** The type of the value under `key` as the file declares it, `undefined` if there is none. */
    type(key) {
        return (call(() => this.#native.metadataType(string('key', key))) ?? undefined);
    }
    /** The keys, in file order. */
    keys() {
        return call(() => this.#native.metadataKeys()).values();
    }
    /** Keys and values, in file order. */
    *entries() {
        for (const key of this.keys())
            yield [key, this.get(key)];
    }
    /** The same as {@link entries}. */
    [Symbol.iterator]() {
        return this.entries();
    }
}

/**
 * Loads in flight, so that whoever owns them can end them. They are held weakly: an iterator that was forgotten half
 * way is collected, and its reader ends with it.
 */
class Loads {
    #running = new Set();
    #closed;
    get size() {
        return this.#running.size;
    }
    add(load) {
        if (this.#closed)
            throw this.#closed;
        this.#running.add(load);
    }
    delete(load) {
        this.#running.delete(load);
    }
    /** Ends every load: whoever waits for one gets an AbortError caused by `reason`. Resolves when all have stopped. */
    async end(reason) {
        await Promise.all([...this.#running].map((load) => load.deref()?.end(reason)));
    }
    /** Ends every load, and refuses those to come with the same reason. */
    async close(reason) {
        this.#closed ??= reason;
        await this.end(reason);
    }
}
/** The loads of each signal: however many listen to one, it has a single listener. */
const listening = new WeakMap();
/** Ends `load` when the signal aborts; the function returned undoes that. */
function listen(signal, load) {
    const entry = listening.get(signal) ?? startListening(signal);
    entry.loads.add(load);
    return () => {
        entry.loads.delete(load);
        if (entry.loads.size === 0)
            entry.stop();
    };
}
function startListening(signal) {
    const loads = new Loads();
    const onAbort = () => void loads.end(signal.reason);
    const stop = () => {
        signal.removeEventListener('abort', onAbort);
        if (listening.get(signal)?.loads === loads)
            listening.delete(signal);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    listening.set(signal, { loads, stop });
    return { loads, stop };
}
/** A unit's chunks by place. Numbers come five a chunk from the addon, see `describe` in `src/stream.rs`. */
function places(unit, names) {
    const numbers = unit.describeChunks();
    const list = [];
    for (let i = 0; i < numbers.length; i += 5) {
        const [index, elementStart, elementEnd, byteStart, byteEnd] = numbers.slice(i, i + 5);
        list.push({ tensor: names(index), elementStart, elementEnd, byteStart, byteEnd });
    }
    return list;
}
/** A turn of the event loop, on which buffers detached before it return to their pool. */
const nextTurn = node_util.promisify(setImmediate);
/** Forgets a load that was collected before it was closed. */
const forgotten = new FinalizationRegistry((forget) => forget());
/** A native stream under its caller's control: ended by its signal, its owner or the consumer's return. */
class Load {
    #native;
    #forget;
    #ended;
    #pending;
    constructor(native, loads, signal) {
        this.#native = native;
        const self = new WeakRef(this);
        loads.add(self);
        const unlisten = signal && listen(signal, self);
        this.#forget = () => {
            loads.delete(self);
            unlisten?.();
        };
        forgotten.register(this, this.#forget, this);
        if (signal?.aborted)
            this.abort(signal.reason);
        this.#pending = this.#request();
    }
    /** The next unit. The one after it is asked for at once, so that reading and consuming overlap. */
    async next() {
        this.check();
        let unit;
        try {
            unit = await this.#pending;
        }
        catch (error) {
            this.check();
            throw fromNative(error);
        }
        this.check();
        this.#pending = unit === null ? Promise.resolve(null) : this.#request();
        return unit;
    }
    /** Throws if the stream was ended. */
    check() {
        if (this.#ended)
            throw new AbortError(this.#ended.reason);
    }
    /** Ends the stream with a reason, for whoever waits for it now or asks next. */
    abort(reason) {
        this.#ended ??= { reason };
        this.#native.cancel();
    }
    /** The same, and resolves when the reader has stopped. */
    async end(reason) {
        this.abort(reason);
        await this.close();
    }
    /** Ends the stream; resolves when the reader has stopped and the buffers given back are in their pool again. */
    async close() {
        this.#native.cancel();
        this.#forget();
        forgotten.unregister(this);
        await this.#pending.then((unit) => unit?.discard()).catch(() => { });
        await this.#native.next().catch(() => { });
        await nextTurn();
    }
    #request() {
        const unit = this.#native.next();
        unit.catch(() => { }); // Told when it is awaited; until then a rejection is not unhandled.
        return unit;
    }
}
/** The chunks of a native stream, one at a time. */
async function* chunks(native, as, names, totalBytes, loads, control) {
    const progress = reporter(totalBytes, control);
    const load = new Load(native, loads, control.signal);
    try {
        for (let unit = await load.next(); unit !== null; unit = await load.next()) {
            yield* chunksOf(unit, as, names, load, progress);
        }
    }
    finally {
        await load.close();
    }
}
/** The chunks of one unit. However the consumer leaves, the unit's memory goes back. */
async function* chunksOf(unit, as, names, load, progress) {
    const buffers = unit.arrayBuffers();
    const list = places(unit, names).map((place, i) => chunkOver(unit, buffers[i], as, place));
    try {
        for (const chunk of list) {
            load.check();
            progress(chunk);
            yield chunk;
            chunk.release();
        }
    }
    finally {
        for (const chunk of list)
            chunk.release();
    }
}
/** Runs a native stream that fills a destination; after it settles nothing more is written there. */
async function drain(native, names, totalBytes, loads, control) {
    const progress = reporter(totalBytes, control);
    const load = new Load(native, loads, control.signal);
    try {
        for (let unit = await load.next(); unit !== null; unit = await load.next()) {
            const filled = places(unit, names);
            unit.discard();
            filled.forEach(progress);
        }
    }
    finally {
        await load.close();
    }
}
function reporter(totalBytes, { onProgress }) {
    let chunks = 0;
    let loadedBytes = 0;
    return (place) => {
        chunks += 1;
        loadedBytes += place.byteEnd - place.byteStart;
        onProgress?.({ tensor: place.tensor, chunks, loadedBytes, totalBytes });
    };
}

const openChecks = { headerOnly: boolean, strict: boolean };
const loadChecks = {
    as: (name, value) => oneOf(name, value, tensorOutputs),
    signal: signal,
    onProgress: (name, value) => callback(name, value),
};
const streamChecks = {
    ...loadChecks,
    tensors: strings,
    chunkBytes: (name, value) => bytes(name, value, 1),
    pool: (name, value) => real(name, value, BufferPool, nativePool),
};
const intoChecks = { ...loadChecks, into: destination };
/** The pool and the loads of files opened without a manager; made when first needed. */
let standalone;
const standaloneContext = () => {
    standalone ??= { pool: new BufferPool({ maxHeldBytes: 8 * MiB }), loads: new Loads() };
    return standalone;
};
/** Opens a file for an owner of its own pool and loads. */
let openWith;
/**
 * An open GGUF file: its metadata and tensors, checked against every rule of the format.
 *
 * Opening reads the header and nothing else. The file stays open until {@link close}; a file that was changed in place
 * since it was opened is refused at the next read.
 *
 * @example
 * using model = GgufFile.open('model.gguf')
 * for await (const chunk of model.stream({ as: 'f32' })) {
 *   consume(chunk.tensor, chunk.elementStart, chunk.data)
 * }
 */
class GgufFile {
    #native;
    #info;
    #context;
    #tensors;
    /** The metadata, decoded when asked for. */
    metadata;
    /** Whether it was opened without its data. */
    headerOnly;
    static {
        openWith = (context, path, options) => GgufFile.#open(path, options, context);
    }
    constructor(mark, native, headerOnly, context) {
        expectInternal(mark, 'GgufFile', 'GgufFile.open()');
        this.#native = native;
        this.#info = call(() => native.info());
        this.#context = context;
        this.metadata = metadataOf(native);
        this.headerOnly = headerOnly;
    }
    /**
     * Opens a file and reads its header. No tensor data is read.
     *
     * @throws {@link IoError} when it cannot be opened or read, or is no regular file.
     * @throws {@link InvalidGgufError} when it breaks a rule of the format.
     */
    static open(path, options) {
        return GgufFile.#open(path, options);
    }
    static #open(path, options$1, context) {
        const { headerOnly = false, strict = false } = options(options$1, openChecks);
        const native = call(() => NativeModel.open(filePath(path), { headerOnly, strict }));
        return new GgufFile(internal, native, headerOnly, context);
    }
    /**
     * Takes a copy of the bytes of a whole file, or of its header alone with `headerOnly`.
     *
     * @throws {@link InvalidGgufError} when they break a rule of the format.
     */
    static fromBytes(bytes, options$1) {
        const { headerOnly = false, strict = false } = options(options$1, openChecks);
        if (!ArrayBuffer.isView(bytes) || bytes.constructor.name === 'DataView') {
            throw invalidArgument('bytes', 'a Uint8Array', quoted(bytes));
        }
        const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        return new GgufFile(internal, call(() => NativeModel.fromBytes(view, { headerOnly, strict })), headerOnly);
    }
    /** The path it was opened under, `<bytes>` for bytes. */
    get path() {
        return this.#info.path;
    }
    /** The size of the file when it was opened, in bytes. */
    get sizeBytes() {
        return this.#info.sizeBytes;
    }
    /** The version of the container: 2 or 3. */
    get version() {
        return this.#info.version;
    }
    /** The model family (`general.architecture`), such as `"llama"`, if it is given. */
    get architecture() {
        return this.#info.architecture;
    }
    /** The mixture of tensor types the model was quantised to (`general.file_type`), if it is given. */
    get fileType() {
        return this.#info.fileType;
    }
    /** What tensor offsets are multiples of, in bytes. */
    get alignmentBytes() {
        return this.#info.alignmentBytes;
    }
    /** Where the data section starts, in bytes from the start of the file. */
    get dataOffsetBytes() {
        return this.#info.dataOffsetBytes;
    }
    /** Bytes of the data section from its start to the end of the last tensor, gaps included. */
    get dataBytes() {
        return this.#info.dataBytes;
    }
    /** Which part of a split model the file is, if it is one. */
    get split() {
        return this.#info.split;
    }
    /** The tensors, in file order. */
    get tensors() {
        this.#tensors ??= Object.freeze(call(() => this.#native.tensors()).map((tensor) => Object.freeze(tensor)));
        return this.#tensors;
    }
    /** The tensor of that name, `undefined` if there is none. */
    tensor(name) {
        return call(() => this.#native.tensor(string('name', name))) ?? undefined;
    }
    /**
     * Streams tensors in chunks of whole blocks, through a few pooled buffers, at the consumer's pace: the reader stays
     * about a megabyte ahead and waits. All work happens on a thread of the stream's own, which starts with the first
     * chunk asked for and ends with the stream.
     *
     * Leaving the loop ends the stream. Errors of the file reject the iteration: {@link IoError} when it cannot be read
     * or was changed since it was opened, {@link InsufficientMemoryError} when the pool's budget has no room.
     *
     * @throws {@link InvalidArgumentError} for an unfit option, an unknown tensor, and a file opened `headerOnly`.
     * @throws {@link UnsupportedTypeError} for a tensor that does not convert.
     * @throws {@link ReleasedError} after {@link close}.
     */
    stream(options$1) {
        const checked = options(options$1, streamChecks);
        const { as = 'raw', tensors, chunkBytes = MiB, pool } = checked;
        const { pool: ownPool, loads } = this.#context ?? standaloneContext();
        const request = { output: as, chunkBytes, tensors };
        const native = call(() => this.#native.stream(nativePool(pool ?? ownPool), request));
        return chunks(native, as, this.#names(), this.#storedBytes(tensors), loads, control(checked));
    }
    /**
     * Reads one tensor whole, into new memory or into yours, and returns an array over exactly its data. When it
     * rejects, nothing is written to the destination afterwards.
     *
     * Rejects with what {@link stream} throws and rejects with, and with {@link InvalidArgumentError}, before a byte is
     * written, when the destination is too small or misaligned.
     *
     * @example
     * const norm = await model.load('output_norm.weight', { as: 'f32' }) // Float32Array
     */
    async load(name, options$1) {
        const checked = options(options$1, intoChecks);
        const { as = 'raw', into } = checked;
        const info = this.tensor(name);
        if (!info)
            throw invalidArgument('name', 'the name of a tensor of this file', quoted(name));
        const dataBytes = tensorDataBytes(info, as);
        const target = windowOf(into ?? newMemory(dataBytes), dataBytes, elementBytes(as));
        const { pool, loads } = this.#context ?? standaloneContext();
        const request = { output: as, chunkBytes: 4 * MiB, tensors: [name] };
        const native = call(() => this.#native.streamInto(nativePool(pool), request, target));
        await drain(native, this.#names(), info.sizeBytes, loads, control(checked));
        if (target.length !== dataBytes)
            throw invalidArgument('into', 'left in place while it is filled', 'memory moved away');
        return over(as, target);
    }
    /**
     * Closes the file. Streams already begun go on, and the header's fields stay readable; tensors, metadata, streams
     * and loads throw {@link ReleasedError}. Idempotent.
     */
    close() {
        this.#tensors = undefined;
        this.#native.close();
    }
    /** The same as {@link close}, for `using`. */
    [Symbol.dispose]() {
        this.close();
    }
    /** Names by index; a stream that outlives the file takes them along. */
    #names() {
        const { tensors } = this;
        return (index) => tensors[index]?.name ?? '';
    }
    #storedBytes(names) {
        const infos = names?.map((name) => this.tensor(name)) ?? this.tensors;
        return infos.reduce((sum, info) => sum + (info?.sizeBytes ?? 0), 0);
    }
}
const control = ({ signal, onProgress }) => ({ signal, onProgress });
function filePath(value) {
    const path = value instanceof URL ? urlPath(value) : value;
    if (typeof path === 'string' && path !== '' && !path.includes('\0'))
        return path;
    throw invalidArgument('path', 'a path or a file: URL', quoted(value instanceof URL ? value.href : value));
}
function urlPath(url) {
    try {
        return node_url.fileURLToPath(url);
    }
    catch {
        return undefined;
    }
}
/** Memory for a destination; the system hands out its pages when the reader first writes to them. */
function newMemory(bytes) {
    const unfit = () => invalidArgument('name', 'a tensor that fits in one array; stream it instead', `${bytes} bytes of data`);
    if (bytes > node_buffer.constants.MAX_LENGTH)
        throw unfit();
    try {
        return new ArrayBuffer(bytes);
    }
    catch {
        throw unfit();
    }
}
/** Memory that stays where it is and as large as it is while a reader writes to it. */
function destination(name, value) {
    const buffer = ArrayBuffer.isView(value) ? value.buffer : value;
    const isFixed = Object.prototype.toString.call(buffer) === '[object ArrayBuffer]' && !buffer.resizable;
    if (isFixed)
        return value;
    throw invalidArgument(name, 'an ArrayBuffer of fixed length, or a view of one', quoted(value));
}
/** The first bytes of a destination, checked for size and alignment. */
function windowOf(into, bytes, alignmentBytes) {
    const [buffer, offset] = ArrayBuffer.isView(into) ? [into.buffer, into.byteOffset] : [into, 0];
    if (into.byteLength < bytes)
        throw invalidArgument('into', `at least ${bytes} bytes long`, `${into.byteLength} bytes`);
    if (offset % alignmentBytes !== 0) {
        throw invalidArgument('into', `aligned to its elements of ${alignmentBytes} bytes`, `byteOffset ${offset}`);
    }
    return new Uint8Array(buffer, offset, bytes);
}
function over(as, bytes) {
    return view(as, bytes.buffer, bytes.byteOffset, bytes.byteLength / elementBytes(as));
}

/**
 * The front door: the line of this machine, the budget under it, files opened on its account, and a pool for their
 * streams.
 *
 * @example
 * await using manager = new MemoryManager({ safetyMarginPercent: 15 })
 * const model = manager.open('model.gguf')
 * using weights = manager.budget.allocate(model.dataBytes, 'weights')
 */
class MemoryManager {
    #loads = new Loads();
    #closed = false;
    /** The preset of the board, if one was named. */
    board;
    /** The budget of this machine. */
    budget;
    /** The pool that streams of this manager's files read through; it counts against the budget. */
    pool;
    /** @throws {@link InvalidArgumentError} for an unknown or unfit option, or when the machine's memory cannot be read. */
    constructor(options$1) {
        const { maxHeldBytes = 8 * MiB, ...line } = options(options$1, {
            ...machineBudgetChecks,
            maxHeldBytes: (name, value) => bytes(name, value),
        });
        this.board = boardPresets.find((board) => board.id === line.board);
        this.budget = MemoryBudget.forThisMachine(line);
        this.pool = new BufferPool({ maxHeldBytes, budget: this.budget });
    }
    /**
     * Opens a file whose streams read through this manager's pool and end with it. See {@link GgufFile.open}.
     *
     * @throws {@link ReleasedError} after {@link close}.
     */
    open(path, options) {
        if (this.#closed)
            throw released('the memory manager');
        return openWith({ pool: this.pool, loads: this.#loads }, path, options);
    }
    /** What this process holds now. See {@link processMemory}. */
    processMemory() {
        return processMemory();
    }
    /** Whether it was closed. */
    get closed() {
        return this.#closed;
    }
    /**
     * Ends loads in flight (they reject with an {@link AbortError}) and gives the pool's memory back. Allocations belong
     * to their holders and stay. Resolves when every reader has stopped. Idempotent.
     */
    async close() {
        this.#closed = true;
        this.pool.close();
        await this.#loads.close(released('the memory manager'));
    }
    /** The same as {@link close}, for `await using`. */
    async [Symbol.asyncDispose]() {
        await this.close();
    }
}

exports.AbortError = AbortError;
exports.AddonUnavailableError = AddonUnavailableError;
exports.Allocation = Allocation;
exports.BufferPool = BufferPool;
exports.GgufArray = GgufArray;
exports.GgufFile = GgufFile;
exports.GgufMetadata = GgufMetadata;
exports.GiB = GiB;
exports.InsufficientMemoryError = InsufficientMemoryError;
exports.InvalidArgumentError = InvalidArgumentError;
exports.InvalidGgufError = InvalidGgufError;
exports.IoError = IoError;
exports.KiB = KiB;
exports.MemoryBudget = MemoryBudget;
exports.MemoryManager = MemoryManager;
exports.MiB = MiB;
exports.PlimsollError = PlimsollError;
exports.PooledBuffer = PooledBuffer;
exports.ReleasedError = ReleasedError;
exports.TensorChunk = TensorChunk;
exports.UnsupportedTypeError = UnsupportedTypeError;
exports.boardPresets = boardPresets;
exports.formatBytes = formatBytes;
exports.instructionSet = instructionSet;
exports.loadedAddon = loadedAddon;
exports.machineMemory = machineMemory;
exports.parseBytes = parseBytes;
exports.processMemory = processMemory;
exports.tensorDataBytes = tensorDataBytes;
exports.tensorOutputs = tensorOutputs;
