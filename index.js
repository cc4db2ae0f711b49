'use strict';

Object.defineProperty(exports, Symbol.toStringTag, { value: 'Module' });

const node_url = require('node:url');
const fastestLevenshtein = require('fastest-levenshtein');
const node_fs = require('node:fs');
const node_path = require('node:path');
const node_buffer = require('node:buffer');
const types$3 = require('node:util/types');
const node_stream = require('node:stream');
const node_util = require('node:util');
const node_events = require('node:events');
const promises = require('node:timers/promises');

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

/** Under this name every class of every copy of this package tells which copy it is of. */
const key = Symbol.for('plimsoll.copy');
const { version: version$1 } = require('./package.json');
/** Which copy of the package this is. */
const thisCopy = `${version$1} in ${__dirname}`;
/** Makes objects of a class tell that they are of this copy. */
function markCopy(type) {
    Object.defineProperty(type.prototype, key, { value: thisCopy });
}
/** What to say of an object of another copy of this package; nothing of all else. */
function otherCopy(value) {
    try {
        const copy = value?.[key];
        if (typeof copy !== 'string' || copy === thisCopy)
            return undefined;
        return (`of another copy of plimsoll, ${copy}, where ${thisCopy} was asked; two are installed: \`npm ls plimsoll\` shows why, ` +
            'and `npm dedupe` makes them one where their versions allow it');
    }
    catch {
        return undefined; // A proxy may throw whatever it likes.
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
/** What the system said against writing a file. */
function ioError(path, cause) {
    const { errno, message } = cause;
    const text = `expected to write ${path}, got: ${message}; ${writingAdvice(cause)}`;
    // Node.js has the system's numbers negative.
    return new IoError('ERR_IO', text, { path, ...(errno !== undefined && { errno: Math.abs(errno) }) }, { cause });
}
/** What to do when a file could not be written. */
function writingAdvice(cause) {
    switch (cause.code) {
        case 'ENOSPC':
        case 'EDQUOT':
            return 'make room there, or choose another place';
        case 'EISDIR':
            return 'name a file in it';
        case 'EPIPE':
            return 'its reader went away before the end';
        default:
            return 'check that its folder exists, and that both may be written';
    }
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
    const name = className(value);
    const other = otherCopy(value);
    return `${/^[aeio]/i.test(name) ? 'an' : 'a'} ${name}${other ? ` ${other}` : ''}`;
}
/** What its class is called, as far as that can be asked without the object's having a say in it. */
function className(value) {
    try {
        const name = value.constructor?.name;
        return typeof name === 'string' && name !== '' ? name : 'object';
    }
    catch {
        return 'object';
    }
}
/** Quotes a string for {@link invalidArgument}, so that it is not taken for a description. */
const quoted = (value) => (typeof value === 'string' ? JSON.stringify(value) : value);

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
/** A path of a file, as text or as a `file:` URL. */
function filePath(name, value) {
    const url = urlText(value);
    const path = url === undefined ? value : urlPath(url);
    if (typeof path === 'string' && path !== '' && !path.includes('\0'))
        return path;
    throw invalidArgument(name, 'a path or a file: URL', quoted(url ?? value));
}
/** The text of a URL; `undefined` of what is none, or only looks like one. */
function urlText(value) {
    try {
        return value instanceof URL ? URL.prototype.toString.call(value) : undefined;
    }
    catch {
        return undefined;
    }
}
function urlPath(url) {
    try {
        return node_url.fileURLToPath(url);
    }
    catch {
        return undefined;
    }
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
function number(name, value, least, most) {
    if (typeof value === 'number' && value >= least && value <= most)
        return value + 0; // No -0.
    throw invalidArgument(name, `a number from ${least} to ${most}`, quoted(value));
}
function integer(name, value, least, most) {
    if (Number.isInteger(value))
        return number(name, value, least, most);
    throw invalidArgument(name, `a whole number from ${least} to ${most}`, quoted(value));
}
function oneOf$1(name, value, allowed) {
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
    if (isSignal(value))
        return value;
    throw invalidArgument(name, 'an AbortSignal', quoted(value));
}
function isSignal(value) {
    const candidate = value;
    try {
        const listens = typeof candidate?.addEventListener === 'function' && typeof candidate.removeEventListener === 'function';
        return listens && typeof candidate.aborted === 'boolean';
    }
    catch {
        return false;
    }
}
function callback(name, value) {
    if (typeof value === 'function')
        return value;
    throw invalidArgument(name, 'a function', quoted(value));
}
function strings(name, value) {
    return array(name, 'an array of strings', value, (item) => {
        if (typeof item === 'string')
            return item;
        throw invalidArgument(name, 'an array of strings', quoted(value));
    });
}
/** The elements of an array, each by its check; a hole is an element. Read once, so that what is checked is what is used. */
function array(name, expected, value, element) {
    if (!isArray(value))
        throw invalidArgument(name, expected, quoted(value));
    const checked = [];
    // One at a time: an array may say that it is much longer than it is.
    for (let index = 0; index < value.length; index++)
        checked.push(element(value[index], index));
    return checked;
}
const isArray = (value) => canBeAsked(value) && Array.isArray(value);
/** Whether anything can be asked of a value: a proxy that was revoked fails at every touch. */
function canBeAsked(value) {
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null)
        return true;
    try {
        Reflect.getPrototypeOf(value);
        return true;
    }
    catch {
        return false;
    }
}
/**
 * Checks an options object: every key must be known, every value pass its check. A misspelt option is an error that
 * names the nearest right one.
 */
function options(value, checks, name = 'options') {
    if (value === undefined)
        return Object.create(null);
    const isPlain = canBeAsked(value) && Object.prototype.toString.call(value) === '[object Object]';
    if (!isPlain || otherCopy(value) !== undefined) {
        throw invalidArgument(name, 'a plain object', quoted(value));
    }
    const known = Object.keys(checks);
    const checked = Object.create(null); // Nothing comes in through a prototype.
    for (const [key, item] of Object.entries(value)) {
        if (!known.includes(key)) {
            const expected = known.length > 0 ? `an object with no keys but ${known.join(', ')}` : 'an object without keys';
            throw invalidArgument(name, expected, `the key "${key}"${didYouMean(key, known)}`);
        }
        if (item !== undefined)
            checked[key] = checks[key](key, item);
    }
    return checked;
}
/**
 * A part of checked options, or what is made of them, for functions that read it by name, the addon's among them: what
 * it does not hold itself is not there, whatever `Object.prototype` holds.
 */
const own$2 = (part) => Object.assign(Object.create(null), part);
function didYouMean(word, known) {
    return known.length === 0 ? '' : ` (did you mean "${fastestLevenshtein.closest(word, known)}"?)`;
}

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
const { abandonPool, allocateBuffer, allocateGuard, backEnds: backEnds$1, boardPresets: boardPresets$1, detach: detach$1, detectBoard: detectBoard$1, detectPreset, formatBytes: formatBytes$1, freeBuffer, gpuProcesses: gpuProcesses$1, instructionSet: instructionSet$1, leakWarning, machineMemory: machineMemory$1, parseBytes: parseBytes$1, planNpuDomains: planNpuDomains$1, processes: processes$1, processMemory: processMemory$1, releaseGuard, signals: signals$1, tensorTypes, untoldCopies, valueTypes, } = binding;
const NativeBudget = binding.NativeBudget;
const NativeBufferPool = binding.NativeBufferPool;
const NativeDevice = binding.NativeDevice;
const NativePool = binding.NativePool;
const NativeModel = binding.NativeModel;
const NativeMonitor = binding.NativeMonitor;
const NativeProfile = binding.NativeProfile;

/** The net: gives back what a collected guard held. */
const net$3 = new FinalizationRegistry((state) => {
    if (state.released)
        return;
    state.released = true;
    releaseGuard(state.guards, state.key);
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
        guard = (state) => new Allocation(internal, state);
    }
    constructor(mark, state) {
        expectInternal(mark, 'Allocation', 'budget.allocate()');
        this.#state = state;
        net$3.register(this, state, state);
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
    /**
     * Says that `bytes` of it, in all, have really been taken; the whole of it by default. That much is no longer pending
     * in {@link MemoryBudget.headroom | headroom}. It only rises, and never above the allocation's size. Returns the
     * allocation.
     *
     * Whoever never says so is credited with what the process has grown by since its first grant: right for one load at
     * a time, a guess for several.
     *
     * @throws {@link InvalidArgumentError} when `bytes` is no whole number from 0 to the allocation's size.
     * @throws {@link ReleasedError} after it was released.
     */
    commit(bytes$1 = this.#state.sizeBytes) {
        const { native, key, sizeBytes } = this.#live();
        native.commit(key, bytes('bytes', bytes$1, 0, sizeBytes));
        return this;
    }
    /** Gives the bytes back. A second call does nothing. */
    release() {
        const state = this.#state;
        if (state.released)
            return;
        state.released = true;
        net$3.unregister(state);
        for (const guards of this.#attachedTo ?? [])
            guards.delete(this);
        releaseGuard(state.guards, state.key);
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

/**
 * The frames of whoever called `callee`, innermost first: a line each, as V8 writes them, without what stands before the
 * frame's name.
 */
function callersOf(callee, depth) {
    const limit = Error.stackTraceLimit;
    const site = {};
    // Not by assignment, which throws where a program has frozen the intrinsics.
    Reflect.set(Error, 'stackTraceLimit', depth);
    Error.captureStackTrace(site, callee);
    Reflect.set(Error, 'stackTraceLimit', limit);
    // A program's own Error.prepareStackTrace may have made something else of it.
    const frames = typeof site.stack === 'string' ? site.stack.split('\n').slice(1) : [];
    return frames.map((frame) => frame.trim().replace(/^at /, '')).join('\n');
}

/**
 * Tells the process's log of limits that a line cannot know of, and of figures that stand for others. The addon names each
 * once in a process, worker threads included.
 */
function tellDoubts(doubts) {
    for (const doubt of doubts) {
        const options = own$2({ type: 'PlimsollWarning', code: 'PLIMSOLL_UNSEEN_LIMIT' });
        process.emitWarning(`${doubt}. "plimsoll doctor" says what to do about it.`, options);
    }
}
/** Tells it of other versions of this package in the process whose budgets do not know of this one's. */
function tellCopies(files) {
    for (const file of files) {
        process.emitWarning(`Another version of plimsoll is loaded, which counts by itself: ${file}. Both together may grant more than the line; ` +
            '`npm ls plimsoll` shows why there are two, and one version for all makes them one.', own$2({ type: 'PlimsollWarning', code: 'PLIMSOLL_COPY_APART' }));
    }
}

/** The boards this package knows by name. */
const boardPresets = Object.freeze(boardPresets$1().map((board) => Object.freeze(board)));
const ids = boardPresets.map((board) => board.id);
/** Checks the id of a board. */
const boardId = (name, value) => oneOf$1(name, value, ids);
/** Checks the id of a board, or `'auto'`. */
const autoOrBoardId = (name, value) => oneOf$1(name, value, ['auto', ...ids]);
const processId = (name, value) => integer(name, value, 1, 2 ** 31 - 1);
/** Checks the options that name a tree and a process. */
const processChecks = { root: string, pid: processId };
const rootOf = (options$1) => options(options$1, { root: string }).root;
/**
 * The RAM of this machine now.
 *
 * @throws {@link IoError} where `/proc/meminfo` cannot be read.
 */
function machineMemory(options$1) {
    const { root, pid } = options(options$1, processChecks);
    return call(() => machineMemory$1(root, pid));
}
/**
 * Every signal that tells of memory, read anew: the machine, the cgroups over the process, pressure, compressed swap,
 * the process, huge pages, and what drivers of accelerators say. Nothing throws: what is not there is absent, and
 * listed in `missing` with the reason.
 */
function signals(options$1) {
    const { root, pid } = options(options$1, processChecks);
    return signals$1(root, pid);
}
/**
 * What this machine is: by what its device tree is compatible with, never by its model's name; where there is no tree, by
 * its product's name in DMI. A machine that nothing is known of is a board too, without a preset and without
 * `unifiedMemory`.
 */
function detectBoard(options) {
    return detectBoard$1(rootOf(options));
}
/**
 * The kinds of device memory that this machine could give: each with where it was found, or why it cannot be used and
 * the line that mends it. Nothing is opened for it and no library is loaded.
 */
function backEnds(options) {
    return backEnds$1(rootOf(options));
}
/**
 * What a process holds now, this one by default: resident memory with its anonymous, file and shared parts, and the
 * peak.
 *
 * @throws {@link IoError} where `/proc` is not mounted, and when no such process runs.
 */
function processMemory(options$1) {
    const { pid } = options(options$1, { pid: processId });
    return call(() => processMemory$1(pid));
}
/** The instruction set that the dequantisers run with on this machine: `"avx2+f16c"`, `"neon"` or `"portable"`. */
function instructionSet() {
    return instructionSet$1();
}
/** The native addon that this process has loaded: which file, for which platform, and how it was checked. */
function loadedAddon() {
    return { ...loaded };
}

var _a;
/** Checks the options of a budget of this machine. */
const machineBudgetChecks = {
    board: autoOrBoardId,
    safetyMarginPercent: percent,
    maxBytes: (name, value) => bytes(name, value),
    isolated: boolean,
    headroom: boolean,
};
/** The native budgets behind the public ones, for the parts of this package that count against a budget. */
const natives$2 = new WeakMap();
/** @internal */
const nativeBudget = (budget) => natives$2.get(budget);
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
    /** Its guards, as the two calls that each of them goes through want them. */
    #guards;
    constructor(first, of) {
        this.#native = first === internal && of ? of : ofNumbers(first);
        this.#guards = this.#native.guards();
        natives$2.set(this, this.#native);
    }
    /**
     * A budget of just the board's numbers, whatever machine this is.
     *
     * @throws {@link InvalidArgumentError} for a board that has no preset.
     */
    static forBoard(board) {
        return new _a(internal, NativeBudget.ofBoard(boardId('board', board)));
    }
    /**
     * The budget of this machine. Its line is the lowest of: the memory less the reserve, the memory less the safety
     * margin, the board's usable memory if there is a preset, the limit of every cgroup over the process less its floor
     * (3 %, at least 16 MiB), and `maxBytes`.
     *
     * It grants what the line leaves *and* the machine can give, so that a granted byte is there: see `headroom` among the
     * options.
     *
     * With a `root` or a `pid` it is the line of that tree or over that process, and so is its headroom and what a
     * {@link MemoryMonitor} of it sees. Such a budget is for looking: it counts alone.
     *
     * Where a limit may exist that cannot be seen, the process warns of it once (`PLIMSOLL_UNSEEN_LIMIT`), and of another
     * copy of the package that counts by itself (`PLIMSOLL_COPY_APART`).
     *
     * @throws {@link InvalidArgumentError} for an unknown or unfit option.
     * @throws {@link IoError} when the machine's memory cannot be read, or a limit over the process that is there.
     */
    static forThisMachine(options$1) {
        const checks = { ...machineBudgetChecks, ...processChecks };
        const checked = options(options$1, checks);
        const { board = 'auto', ...rest } = checked;
        const { root, pid } = checked;
        const preset = board === 'auto' ? call(() => detectPreset(root)) : board;
        const isolated = checked.isolated === true || root !== undefined || pid !== undefined;
        const headroom = checked.headroom !== false;
        const machine = own$2({ ...rest, ...(preset && { board: preset }), isolated, headroom });
        const made = call(() => NativeBudget.ofThisMachine(machine));
        tellDoubts(made.untoldDoubts);
        tellCopies(untoldCopies());
        return new _a(internal, made);
    }
    /** Memory of the board, or of the machine without what is set aside as huge pages, in bytes. */
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
    /**
     * An upper bound of your own while the program runs, in bytes; `undefined` for none. It only ever lowers the line, and
     * takes nothing back: what is allocated above it stays.
     *
     * @throws {@link InvalidArgumentError} when it is no whole number of bytes.
     */
    get maxBytes() {
        return this.#native.maxBytes ?? undefined;
    }
    set maxBytes(bytes$1) {
        this.#native.setMaxBytes(bytes$1 === undefined ? undefined : bytes('maxBytes', bytes$1));
    }
    /** Every bound that was weighed to draw the line, {@link maxBytes} too. */
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
    /**
     * What can still be allocated now, in bytes: what is left of the line, or what the machine can give where that is less.
     * The machine is measured anew; 0 where it cannot be. A budget of numbers or of a preset, or one with
     * `headroom: false`, has its line alone.
     */
    get availableBytes() {
        return this.#native.availableBytes;
    }
    /** What is left of the line, in bytes, whatever the machine can give: {@link usableBytes} less {@link allocatedBytes}. */
    get lineAvailableBytes() {
        return this.#native.lineAvailableBytes;
    }
    /** The most that was ever allocated at once, in bytes. */
    get peakBytes() {
        return this.#native.peakBytes;
    }
    /** Share of the line that is allocated, 0 to 100; above only where a budget with a higher line shares the count. */
    get utilizationPercent() {
        return this.#native.utilizationPercent;
    }
    /**
     * The live allocations, oldest first; of all budgets that share the count, in all threads. What another copy of this
     * package in the process holds is one line, the last.
     */
    allocations() {
        return this.#native.allocations();
    }
    /**
     * What the system can give now: the least room of the machine and of every cgroup over the process, each less its
     * floor, less files that live processes have mapped, less what was granted in this process and not yet taken. Swap
     * never counts.
     *
     * @throws {@link IoError} where the machine's memory cannot be read.
     */
    headroom(options$1) {
        const { floorBytes } = options(options$1, {
            floorBytes: (name, value) => bytes(name, value),
        });
        return call(() => this.#native.headroom(floorBytes));
    }
    /**
     * Whether {@link allocate} would grant this many bytes now: whether the line has room for them, the machine can give
     * them, and no {@link MemoryMonitor} refuses. Another thread may take them in between: only the allocation is binding.
     *
     * @throws {@link InvalidArgumentError} when `bytes` is no whole number from 0 up.
     */
    canAllocate(bytes$1) {
        return this.#native.canAllocate(bytes('bytes', bytes$1));
    }
    /**
     * Takes bytes off the budget, or refuses and takes nothing. It answers at once: guards that were dropped but are
     * not yet collected still count. On a budget of this machine the machine is asked, too, by a reading of at most 100 ms
     * ago or a new one; where it cannot be read, nothing is granted.
     *
     * @param bytes - a whole number from 0 up
     * @param label - what the bytes are for, as lists and errors will call it
     * @throws {@link InsufficientMemoryError} when that many are not available; its `bindingConstraint` is the line or the
     *   bound of the headroom, whichever leaves less.
     * @throws {@link InvalidArgumentError} when an argument is unfit.
     */
    allocate(bytes$1, label) {
        const sizeBytes = bytes('bytes', bytes$1);
        string('label', label);
        let key;
        try {
            key = allocateGuard(this.#guards, sizeBytes, label) ?? this.#allocateProfiled(sizeBytes, label);
        }
        catch (error) {
            throw fromNative(error);
        }
        return guard({
            native: this.#native,
            guards: this.#guards,
            key,
            label,
            sizeBytes,
            attached: false,
            released: false,
        });
    }
    /** The same for a profile that wants to know who asks. */
    #allocateProfiled(sizeBytes, label) {
        const stack = callersOf(_a.prototype.allocate, this.#native.stackDepth);
        return this.#native.allocateFrom(sizeBytes, label, stack);
    }
}
_a = MemoryBudget;
function ofNumbers(numbers) {
    const { totalBytes, reservedBytes = 0 } = options(numbers, {
        totalBytes: (name, value) => bytes(name, value),
        reservedBytes: (name, value) => bytes(name, value),
    });
    const total = bytes('totalBytes', totalBytes);
    return call(() => NativeBudget.ofNumbers(total, reservedBytes));
}

/** The engine's own getter, whatever an object calls by that name. */
function getter(of, name) {
    const get = Object.getOwnPropertyDescriptor(of, name)?.get;
    return (object) => (get ? Reflect.apply(get, object, []) : undefined);
}
const Bytes = Uint8Array;
const typedArray = Object.getPrototypeOf(Uint8Array.prototype);
const ofView = (name) => {
    const [ofArray, ofDataView] = [getter(typedArray, name), getter(DataView.prototype, name)];
    return (view) => (types$3.isDataView(view) ? ofDataView(view) : ofArray(view));
};
const bufferOf = ofView('buffer');
const offsetOf = ofView('byteOffset');
const lengthOf = ofView('byteLength');
const isResizable = getter(ArrayBuffer.prototype, 'resizable');
const lengthOfBuffer = getter(ArrayBuffer.prototype, 'byteLength');
/** How long an array buffer is, in bytes, 0 once its memory was moved away. */
const bufferLength = (buffer) => lengthOfBuffer(buffer) ?? 0;
const { set } = Uint8Array.prototype;
/** A copy of an array buffer; `slice()` would ask its constructor, which a script may have set. */
function copyOf(buffer) {
    const copy = new ArrayBuffer(bufferLength(buffer));
    Reflect.apply(set, new Bytes(copy), [new Bytes(buffer)]);
    return copy;
}
/** A buffer that is no shared and no resizable one. */
const isFixed = (buffer) => types$3.isArrayBuffer(buffer) && isResizable(buffer) !== true;
/**
 * The bytes of an `ArrayBuffer` of fixed length or of a view of one, not copied; `undefined` of anything else, and of memory
 * that was moved away before. What a script has made of the properties of these objects is not asked.
 *
 * Neither this nor any other check in JavaScript keeps the memory where it is: the addon asks again, each time.
 */
function bytesOf(value) {
    try {
        if (isFixed(value))
            return new Bytes(value, 0, bufferLength(value));
        if (!ArrayBuffer.isView(value))
            return undefined;
        const buffer = bufferOf(value);
        return isFixed(buffer) ? new Bytes(buffer, offsetOf(value), lengthOf(value)) : undefined;
    }
    catch {
        return undefined; // Detached.
    }
}
/** The bytes of an array of any memory, shared or resizable too, as they are now. */
function anyBytesOf(value) {
    try {
        return new Bytes(bufferOf(value), offsetOf(value), lengthOf(value));
    }
    catch {
        return undefined;
    }
}

/** The engine's own, whatever a buffer calls by that name. */
const { transfer } = ArrayBuffer.prototype;
/** Detaches an array buffer that is not empty. */
const detachFull = 
// Node.js 22 and later do it without leaving JavaScript; for Node.js 20 the addon does.
typeof transfer === 'function' ? (buffer) => void Reflect.apply(transfer, buffer, [0]) : detach$1;
/**
 * Detaches an array buffer, so that every view of it has length 0. Returns whether it still had its memory: `false` if
 * somebody else has detached it, and moved its memory to another array buffer.
 */
function detach(buffer) {
    if (bufferLength(buffer) === 0)
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
 * powers of two; `KB`, `MB`, `GB` and so on are powers of ten. Upper or lower case, with or without a space. A fraction is
 * exact: of its bytes, only what is less than one is left out.
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
const natives$1 = new WeakMap();
/** The native pool behind a public one. */
const nativePool = (pool) => natives$1.get(pool);
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
        natives$1.set(this, this.#native);
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
        this.#native.keep();
        // Memory that was moved to another array buffer belongs to whoever moved it.
        if (bufferLength(this.#buffer) === 0)
            throw released('the buffer');
        this.#kept = true;
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
 * @throws {@link InvalidArgumentError} for a form that there is none of, and what is no tensor.
 * @example
 * const bytes = model.tensors.reduce((sum, tensor) => sum + tensorDataBytes(tensor, 'f32'), 0)
 */
function tensorDataBytes(tensor, as) {
    oneOf$1('as', as, tensorOutputs);
    // Given by a caller, unlike what a file says.
    const given = own$2(canBeAsked(tensor) ? (tensor ?? {}) : {});
    const figure = (name) => bytes(`tensor.${name}`, given[name]);
    return as === 'raw' ? figure('sizeBytes') : figure('elementCount') * elementBytes(as);
}

/** Makes the chunk over its array buffer; one that is not lent belongs to no unit. */
let chunkOver;
/**
 * A run of whole blocks of one tensor.
 *
 * It is its consumer's own: `data` may be kept, queued, written to a response or posted to another thread, and nothing
 * changes it. Its memory is ordinary memory of JavaScript's, collected with the last array over it.
 *
 * A chunk of a stream with `reuse: true` is lent: it is valid until the next one is asked for, or until {@link release}. Then
 * its memory goes back to the pool and every view of it, `data` and any made from it, has length 0. An asynchronous
 * operation that was given `data` must be awaited before that, or be given a copy.
 */
class TensorChunk {
    /** What it is lent by. */
    #unit;
    #as;
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
        this.#as = as;
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
    /**
     * Lets go of the data: that of the chunk has length 0 from then on. Lent memory goes back to its pool, and every other view
     * of it has length 0 too. Of a chunk that is its consumer's own, arrays that were taken before stay as they are. A second
     * call, or one after {@link keep}, does nothing.
     */
    release() {
        if (this.#settled)
            return;
        this.#settled = true;
        if (this.#unit) {
            // Memory that was moved to another array buffer belongs to whoever moved it.
            if (!detach(this.#buffer))
                this.#unit.keep();
        }
        else {
            this.#data = view(this.#as, new ArrayBuffer(0));
        }
    }
    /** The same as {@link release}, for `using`. */
    [Symbol.dispose]() {
        this.release();
    }
    /**
     * Returns the data for good: it lives until it is collected, whatever is released. Lent memory is taken out of the pool for
     * it; a chunk much smaller than the pooled buffer it lies in is copied instead, so that a small array does not hold on to a
     * large buffer.
     *
     * @throws {@link ReleasedError} after the chunk was released, and when lent memory was moved to another array buffer.
     */
    keep() {
        if (this.#kept)
            return this.#data;
        if (this.#settled)
            throw released('the chunk');
        const unit = this.#unit;
        const lengthBytes = bufferLength(this.#buffer);
        if (unit && lengthBytes === 0) {
            // Its memory was moved to another array buffer, and belongs to whoever moved it.
            this.#settled = true;
            unit.keep();
            throw released('the chunk');
        }
        if (unit && lengthBytes * 2 < unit.sizeBytes) {
            // Where there is no room for the copy, the chunk stays as it is.
            this.#data = view(this.#as, copyOf(this.#buffer));
            detach(this.#buffer);
        }
        else {
            unit?.keep();
        }
        this.#settled = true;
        this.#kept = true;
        return this.#data;
    }
}

const kinds = ['host', 'dma-heap', 'udmabuf', 'cuda', 'rknpu'];
const oneOf = (...allowed) => (name, value) => oneOf$1(name, value, allowed);
function library(name, value) {
    if (string(name, value) !== '')
        return value;
    throw invalidArgument(name, 'a string that is not empty; leave it out for the usual library', quoted(value));
}
/** Checks the options of each kind. */
const checks = {
    host: {
        kind: oneOf('host'),
        memoryFile: boolean,
        hugePages: oneOf('none', 'transparent', 'explicit', 'explicit-only'),
        lock: boolean,
    },
    'dma-heap': { kind: oneOf('dma-heap'), heap: string },
    udmabuf: { kind: oneOf('udmabuf') },
    cuda: {
        kind: oneOf('cuda'),
        ordinal: (name, value) => integer(name, value, 0, 0xffff),
        memory: oneOf('device', 'pinned', 'managed'),
        library,
    },
    rknpu: { kind: oneOf('rknpu'), domain: (name, value) => integer(name, value, 0, 15) },
};
const natives = new WeakMap();
/** The native device behind a public one. */
const nativeDevice = (device) => natives.get(device);
/** What a choice of device asks the addon for. */
function deviceOptions(name, choice) {
    if (typeof choice === 'string')
        return own$2({ kind: oneOf$1(name, choice, [...kinds, 'auto']) });
    const isObject = typeof choice === 'object' && choice !== null && canBeAsked(choice);
    const kind = isObject && Object.hasOwn(choice, 'kind') ? choice.kind : undefined;
    if (typeof kind !== 'string')
        throw invalidArgument(name, 'a Device, its kind, its options, or "auto"', quoted(choice));
    return options(choice, checks[oneOf$1(`${name}.kind`, kind, kinds)]);
}
/** Checks a choice of device, without opening anything. */
function deviceChoice(name, choice) {
    if (natives.has(choice))
        return choice;
    deviceOptions(name, choice);
    return choice;
}
/** Checks the sizes of buffers that are to be planned. */
function bufferSizes(name, value) {
    return array(name, 'an array of sizes in bytes', value, (size, index) => bytes(`${name}[${index}]`, size, 1));
}
/**
 * Which domain of Rockchip's NPU, 0 to 15, each buffer goes to while all are empty: the largest first, each into the
 * lowest domain that has a place for it. Sizes are bytes; a job sees one domain, so what it needs at once is one size.
 * It needs no device, and keeps to the rule of every driver: a buffer starts at a multiple of its size rounded up to a
 * power of two.
 *
 * @throws {@link InsufficientMemoryError} for the first buffer that has no place; with `largestFreeBytes` in its
 * place the same plan is accepted, unless that is 0: then the others alone are too many.
 * @throws {@link InvalidArgumentError} for a size that is none.
 *
 * @example
 * planNpuDomains([1500 * MiB, 1500 * MiB, 1000 * MiB]) // [0, 1, 0]
 */
function planNpuDomains(sizes) {
    const checked = bufferSizes('sizes', sizes);
    return call(() => planNpuDomains$1(checked));
}
/**
 * A device that memory can be taken from. Nothing is linked to: what a machine has not got is an error that says why.
 *
 * @example
 * const device = await Device.open('auto')
 * console.log(device.name, device.passedOver)
 */
class Device {
    #native;
    /** Its name, such as `'host'`, `'dma-heap:system'` or `'cuda:0'`. */
    name;
    /** What kind of memory it gives. */
    kind;
    /** What it can and cannot do. */
    limits;
    /** The kinds that `'auto'` did not choose, each with its reason; empty where the device was named. */
    passedOver;
    /** What a device of CUDA's is, and which kind of its memory suits which use; of another device `undefined`. */
    cuda;
    constructor(mark, of) {
        expectInternal(mark, 'Device', 'Device.open()');
        this.#native = of;
        this.name = of.name;
        this.kind = of.kind;
        this.limits = Object.freeze(of.limits());
        this.passedOver = Object.freeze(of.passedOver().map((passed) => Object.freeze(passed)));
        this.cuda = Object.freeze(of.cudaInfo() ?? undefined);
        natives.set(this, of);
    }
    /**
     * Opens a device, or gives the one that this process has open. `'auto'` takes CUDA where there is a GPU of NVIDIA's, a
     * dma-heap on a board of Rockchip's, and else ordinary RAM; `'rknpu'` is taken by name only.
     *
     * @throws {@link DeviceUnavailableError} with the reason, and the line that mends it where there is one.
     * @throws {@link BusyError} when another process has the NPU.
     * @throws {@link InvalidArgumentError} for an unknown kind, an unknown or unfit option.
     */
    static async open(choice = 'auto') {
        const checked = deviceChoice('device', choice);
        if (checked instanceof Device)
            return checked;
        try {
            return new Device(internal, await NativeDevice.open(deviceOptions('device', checked)));
        }
        catch (error) {
            throw fromNative(error);
        }
    }
    /** What it has given out in this process, and what it says of itself. Never waits for the device. */
    usage() {
        return this.#native.usage();
    }
    /**
     * Which domain of Rockchip's NPU, 0 to 15, each further buffer should go to, beside what this process has there
     * already and as its driver places them; see {@link planNpuDomains}. Then open each domain that is named:
     * `{ kind: 'rknpu', domain }`.
     *
     * @throws {@link DeviceError} of a device without domains: of every kind but `'rknpu'`.
     * @throws as {@link planNpuDomains}.
     */
    planDomains(sizes) {
        const checked = bufferSizes('sizes', sizes);
        return call(() => this.#native.planDomains(checked));
    }
    /** What its user should know and would not expect, with the line that mends it. Usually nothing. */
    remarks() {
        return this.#native.remarks();
    }
}

const count$2 = (name, value) => bytes(name, value);
const rangeChecks = { offsetBytes: count$2, lengthBytes: count$2 };
const mappingChecks = {
    ...rangeChecks,
    access: (name, value) => oneOf$1(name, value, ['read', 'write', 'readwrite']),
};
const readChecks = { ...rangeChecks, into: bytesView };
/** The bytes of a view, not copied. */
function bytesView(name, value) {
    const bytes = ArrayBuffer.isView(value) ? bytesOf(value) : undefined;
    if (bytes)
        return bytes;
    throw invalidArgument(name, 'a view of an ArrayBuffer of fixed length, such as a Uint8Array', quoted(value));
}
/** How much is copied from or to the caller's memory at a time, in bytes: what takes no millisecond. */
const PIECE_BYTES = 4 * MiB;
function tooLong(lengthBytes) {
    const expected = 'what one array can hold here; read larger buffers in parts, with offsetBytes and lengthBytes';
    return invalidArgument('lengthBytes', expected, `${lengthBytes} bytes`);
}
/** Work of this package that is under way on memory which JavaScript sees. */
const users = new WeakMap();
/** Notes work on memory until it ends, so that a map of that memory outlasts it. */
async function inUse(buffer, work) {
    const all = users.get(buffer) ?? new Set();
    users.set(buffer, all.add(work));
    try {
        return await work;
    }
    finally {
        all.delete(work);
    }
}
/** Whether an array buffer could be detached; whatever keeps it from that keeps no map from its end. */
function detachedNow(buffer) {
    try {
        return detach(buffer);
    }
    catch {
        return false;
    }
}
/** The net: frees what a collected buffer held. */
const net$2 = new FinalizationRegistry((state) => {
    if (state.released || state.pool.destroyed)
        return;
    free(state);
    const { label, sizeBytes, device } = state;
    const message = `A buffer of ${sizeBytes} bytes on ${device} labelled "${label}" was collected without being released. ` +
        'Its memory was freed now; call release() or use `using`.';
    process.emitWarning(leakWarning(message, label, sizeBytes));
});
function free(state) {
    state.released = true;
    state.freed(state.key, freeBuffer(state.table, state.key));
}
/** Whether it is a buffer, and none that only looks like one. */
let isBuffer;
/** The native pool and key of a buffer that is live; `undefined` of anything else. */
let bufferPlace;
/** Makes the buffer for a key of the addon. */
let poolBuffer;
/**
 * Memory of a device. It is freed once: on {@link release}, at the end of a `using` block, or as it is collected, which
 * emits a `PlimsollLeakWarning`.
 *
 * Reading, writing and mapping are promises, for a device may take its time. Meanwhile, and as long as a map lasts, the
 * memory stays, whatever is released.
 *
 * @example
 * using buffer = await manager.gpu.allocate(64 * MiB, { label: 'activations' })
 * await buffer.write(new Float32Array(1024))
 */
class DeviceBuffer {
    #state;
    static {
        isBuffer = (value) => typeof value === 'object' && value !== null && #state in value;
        bufferPlace = (buffer) => (isBuffer(buffer) ? buffer.#live() : undefined);
    }
    constructor(mark, state) {
        expectInternal(mark, 'DeviceBuffer', 'allocate()');
        this.#state = state;
        net$2.register(this, state, state);
    }
    /** Its size, in bytes. */
    get sizeBytes() {
        return this.#state.sizeBytes;
    }
    /** What it is for. */
    get label() {
        return this.#state.label;
    }
    /** The name of its device. */
    get device() {
        return this.#state.device;
    }
    /** Whether it was released. */
    get released() {
        return this.#state.released;
    }
    /** Frees it. What still reads, writes or maps it keeps the memory until that ends. A second call does nothing. */
    release() {
        const state = this.#state;
        if (state.released)
            return;
        net$2.unregister(state);
        free(state);
    }
    /** The same as {@link release}, for `using`. */
    [Symbol.dispose]() {
        this.release();
    }
    /**
     * Copies bytes out. Into memory of the caller's they come in pieces of at most 4 MiB, with no more memory than that
     * beside it; so more than that is not read at one moment, and not to its end if the buffer is released meanwhile.
     *
     * @returns the bytes, or those of `into`.
     * @throws {@link InvalidArgumentError} for a range beyond the buffer, more than one array can hold, and memory that was
     * moved away while it was filled.
     * @throws {@link DeviceError} as the device says.
     * @throws {@link ReleasedError} after it was released.
     */
    async read(options$1) {
        const { into, ...range } = options(options$1, readChecks);
        if (into)
            return this.#readInto(into, own$2(range));
        const { offsetBytes, lengthBytes } = this.#range(range);
        if (lengthBytes > node_buffer.constants.MAX_LENGTH)
            throw tooLong(lengthBytes);
        return new Uint8Array(await this.#run(({ native, key }) => native.read(key, offsetBytes, lengthBytes)));
    }
    async #readInto(target, range) {
        const { byteLength } = target;
        if ((range.lengthBytes ?? byteLength) !== byteLength) {
            throw invalidArgument('lengthBytes', `the ${byteLength} bytes of into, or left out`, range.lengthBytes);
        }
        const { offsetBytes } = this.#range({ ...range, lengthBytes: byteLength });
        let done = 0;
        do {
            const piece = Math.min(byteLength - done, PIECE_BYTES);
            await this.#run(({ native, key }) => native.readPiece(key, offsetBytes + done, piece, target, byteLength, done));
            done += piece;
        } while (done < byteLength);
        return target;
    }
    /**
     * Copies bytes in. They must not change until the promise settles. Those of a chunk or a {@link PooledBuffer} go straight
     * to the device, and stay there for it even if they are released meanwhile; others in pieces of at most 4 MiB.
     *
     * @throws as of {@link read}.
     */
    async write(data, options$1) {
        const bytes = bytesView('data', data);
        const { offsetBytes = 0 } = options(options$1, { offsetBytes: count$2 });
        this.#range({ offsetBytes, lengthBytes: bytes.byteLength });
        await inUse(bytes.buffer, this.#write(bytes, bytes.byteLength, offsetBytes));
    }
    async #write(bytes, byteLength, offsetBytes) {
        // Whatever is released meanwhile, the rest is written too.
        const held = byteLength > PIECE_BYTES ? call(() => this.#state.native.hold(this.#state.key)) : undefined;
        try {
            let done = await this.#run(({ native, key }) => native.write(key, offsetBytes, bytes, byteLength, 0));
            while (held && done < byteLength) {
                done += await this.#run(() => held.write(offsetBytes + done, bytes, byteLength, done), true);
            }
        }
        finally {
            await held?.finish();
        }
    }
    /**
     * Sets bytes to one value, 0 to 255.
     *
     * @throws as of {@link read}.
     */
    async fill(value, options$1) {
        const byte = integer('value', value, 0, 255);
        const { offsetBytes, lengthBytes } = this.#range(options(options$1, rangeChecks));
        await this.#run(({ native, key }) => native.fill(key, offsetBytes, lengthBytes, byte));
    }
    /**
     * Copies bytes to another buffer of the same device, on the device.
     *
     * @throws as of {@link read}; {@link InvalidArgumentError} for a buffer of another device.
     */
    async copyTo(target, options$1) {
        const checks = { ...rangeChecks, targetOffsetBytes: count$2 };
        const checked = options(options$1, checks);
        const { targetOffsetBytes = 0, ...range } = checked;
        const { offsetBytes, lengthBytes } = this.#range(range);
        // Looked at last: reading the options may have run anything.
        const to = bufferPlace(target);
        if (!to)
            throw invalidArgument('target', 'a DeviceBuffer', quoted(target));
        await this.#run(({ native, key }) => native.copy(key, offsetBytes, lengthBytes, to.native, to.key, targetOffsetBytes));
    }
    /**
     * Lets `use` see the memory itself. The view has length 0 once what `use` returned has settled and this package's own work
     * on the view, such as a load into it, has ended; nothing else that was begun with it may still be under way then. Until the
     * map has ended the buffer stays where it is.
     *
     * @returns what `use` returned.
     * @throws what `use` threw.
     * @throws {@link DeviceError} where the processor cannot see the memory: {@link read} and {@link write} then.
     * @throws as of {@link read}.
     */
    async withMapping(use, options$1) {
        callback('use', use);
        const { access = 'readwrite', ...range } = options(options$1, mappingChecks);
        const { offsetBytes, lengthBytes } = this.#range(range);
        const mapping = await this.#run(({ native, key }) => native.map(key, offsetBytes, lengthBytes, access));
        let buffer = new ArrayBuffer(0);
        let succeeded = false;
        try {
            buffer = mapping.arrayBuffer()[0] ?? buffer;
            const value = await use(new Uint8Array(buffer));
            succeeded = true;
            return value;
        }
        finally {
            // What this package still reads from the view or writes to it, as after a Promise.all that failed early.
            await Promise.allSettled(users.get(buffer) ?? []);
            // An array buffer whose memory was moved away keeps that memory until it is collected.
            const detached = lengthBytes === 0 || detachedNow(buffer);
            const finished = this.#run(() => mapping.finish(detached), true);
            // What `use` threw is what its caller has to know, whatever the device says to the end.
            await (succeeded ? finished : finished.catch(() => { }));
        }
    }
    /**
     * A new file descriptor of the memory, for another driver or process. It is the caller's to close, and keeps the memory
     * alive. The buffer begins at `offsetBytes` of it, and is never moved again.
     *
     * @throws {@link DeviceError} where the device exports nothing.
     * @throws {@link ReleasedError} after it was released.
     */
    exportFd() {
        return this.#run(({ native, key }) => native.exportFd(key));
    }
    /**
     * Keeps it where it is, until {@link unpin} was called as often. For its address, in use by a device.
     *
     * @throws {@link BusyError} while it is being moved.
     * @throws {@link ReleasedError} after it was released.
     */
    pin() {
        const { native, key } = this.#live();
        call(() => native.pin(key));
    }
    /** Takes back one {@link pin}; without one it does nothing. */
    unpin() {
        if (!this.#state.released)
            this.#state.native.unpin(this.#state.key);
    }
    #live() {
        if (this.#state.released || this.#state.pool.destroyed)
            throw released('the buffer');
        return this.#state;
    }
    #range(range) {
        const { offsetBytes = 0, lengthBytes = this.sizeBytes - offsetBytes } = own$2(range);
        const expected = `within the ${this.sizeBytes} bytes of the buffer`;
        if (offsetBytes > this.sizeBytes)
            throw invalidArgument('offsetBytes', expected, offsetBytes);
        if (offsetBytes + lengthBytes > this.sizeBytes) {
            throw invalidArgument('range', expected, `${lengthBytes} bytes from ${offsetBytes} on`);
        }
        return { offsetBytes, lengthBytes };
    }
    async #run(start, evenReleased = false) {
        const state = evenReleased ? this.#state : this.#live();
        try {
            return await start(state);
        }
        catch (error) {
            throw fromNative(error);
        }
    }
}
/** A buffer out of a {@link MemoryPool}: part of a slab. It may be moved while nobody uses it. */
class PoolBuffer extends DeviceBuffer {
    /** Which of its pool's live buffers it is. */
    id;
    static {
        poolBuffer = (state) => new PoolBuffer(internal, state);
    }
    constructor(mark, state) {
        super(mark, state);
        this.id = state.key;
    }
}

/** Data that no array holds. */
const tooLarge = (bytes) => invalidArgument('name', 'a tensor that fits in one array; stream it instead', `${bytes} bytes of data`);
/** A destination that its script took away. */
const movedAway = () => invalidArgument('into', 'left in place until the work on it has ended', 'memory moved away');
/** A place that a load can fill. */
function destination(name, value) {
    if (bufferPlace(value) || bytesOf(value))
        return value;
    throw invalidArgument(name, 'an ArrayBuffer of fixed length, a view of one, or a DeviceBuffer', quoted(value));
}
/** The first bytes of a destination, checked for size and alignment. */
function windowOf(into, bytes, alignmentBytes) {
    const all = bytesOf(into);
    if (!all)
        throw movedAway();
    if (all.byteLength < bytes)
        throw invalidArgument('into', `at least ${bytes} bytes long`, `${all.byteLength} bytes`);
    if (all.byteOffset % alignmentBytes !== 0) {
        throw invalidArgument('into', `aligned to its elements of ${alignmentBytes} bytes`, `byteOffset ${all.byteOffset}`);
    }
    return new Uint8Array(all.buffer, all.byteOffset, bytes);
}

/**
 * Why a signal ends its work; `undefined` while it does not. Never throws: a signal that cannot be asked ends the work,
 * with what it threw for a reason.
 */
function abortion(signal) {
    if (signal === undefined)
        return undefined;
    try {
        if (!signal.aborted)
            return undefined;
    }
    catch (reason) {
        return { reason };
    }
    return { reason: reasonOf(signal) };
}
function reasonOf(signal) {
    try {
        return signal.reason;
    }
    catch (error) {
        return error;
    }
}
/**
 * Calls `end` with the reason when the signal aborts, and at once if it has or cannot be listened to. Neither this nor
 * what it returns, which stops listening, ever throws, whatever the signal does.
 */
function onAbort(signal, end) {
    const listener = () => end(reasonOf(signal));
    let failed;
    try {
        absorb(signal.addEventListener('abort', listener));
    }
    catch (reason) {
        failed = { reason };
    }
    const ended = failed ?? abortion(signal);
    if (ended)
        end(ended.reason);
    return () => {
        try {
            absorb(signal.removeEventListener('abort', listener));
        }
        catch {
            // The work has its outcome by now.
        }
    };
}
/** Takes note of what a callback returned that should return nothing: should it be a promise, its rejection is handled. */
function absorb(returned, rejected = () => { }) {
    if ((typeof returned === 'object' && returned !== null) || typeof returned === 'function') {
        Promise.resolve(returned).catch(rejected);
    }
}

/** The bytes of chunks that are their consumer's own, as a stream of Node.js's. */
function readStream(chunks, highWaterMark, signal) {
    const next = async (stream) => {
        const { done, value } = await chunks.next();
        if (done)
            stream.push(null);
        else
            stream.push(Buffer.from(value.data.buffer, value.data.byteOffset, value.data.byteLength));
    };
    let unlisten = () => { };
    const stream = new node_stream.Readable(
    // Node.js reads many more options than these, and by name.
    own$2({
        highWaterMark,
        read() {
            next(this).catch((error) => this.destroy(error));
        },
        // Whoever waits for the close finds the reader stopped, and its buffers in their pool.
        destroy(error, done) {
            unlisten();
            chunks.return().then(() => done(error), (trouble) => done(error ?? trouble));
        },
    }));
    if (signal)
        unlisten = onAbort(signal, (reason) => void stream.destroy(new AbortError(reason)));
    if (stream.destroyed)
        unlisten(); // It had aborted before.
    // Its `pipe` wants a stream of Node.js's; here any destination is taken.
    return stream;
}

/** How many tensors cross over at once. Their names are parts of one text, which each of them keeps. */
const BATCH$1 = 512;
/** Numbers that describe a tensor; see `describe` in `src/tensors.rs`. */
const NUMBERS = 9;
const types$2 = new Map(tensorTypes().map((type) => [type.typeId, type]));
/** All tensors of a file, in its order. Columns cross over, and become objects here, which is ten times as fast. */
function tensorInfos(model, count) {
    const infos = [];
    for (let start = 0; start < count; start += BATCH$1) {
        const { names, numbers } = call(() => model.tensors(start, start + BATCH$1));
        const list = names.split('\0');
        for (let i = 0; i < list.length - 1; i++)
            infos.push(infoOf(list[i], numbers, i * NUMBERS));
    }
    return infos;
}
function infoOf(name, numbers, start) {
    const number = (column) => numbers[start + column];
    // Every type that a file may have is among them.
    const { name: type, convertible, blockElements, blockBytes } = types$2.get(number(0));
    const dimensions = [];
    for (let axis = 0; axis < number(1); axis++)
        dimensions.push(number(2 + axis));
    return Object.freeze({
        name,
        type,
        typeId: number(0),
        convertible,
        dimensions,
        elementCount: number(6),
        blockElements,
        blockBytes,
        sizeBytes: number(7),
        offsetBytes: number(8),
    });
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
/** How many elements an iterator decodes at a time. */
const BATCH = 1024;
/** How many entries one goes over at a time: keys may be long. */
const ENTRIES_BATCH = 64;
/** How many values that are no numbers are decoded at once at most: each takes tens of bytes as JavaScript has it. */
const MAX_VALUES = 2 ** 22;
/** The types by their ids. */
const types$1 = valueTypes();
/** Makes the array at a place. */
let arrayAt;
/**
 * An array in the metadata. It is kept as the bytes of the file; elements are decoded when asked for. Where those of
 * strings and arrays stand is found in one walk, the first time that one of a large array is asked for.
 */
class GgufArray {
    #model;
    #place;
    /** The type all elements have. */
    elementType;
    /** Number of elements. */
    length;
    static {
        arrayAt = (model, place) => new GgufArray(internal, model, place);
    }
    constructor(mark, model, place) {
        expectInternal(mark, 'GgufArray', 'model.metadata.get()');
        this.#model = model;
        this.#place = place;
        this.elementType = types$1[place.elementTypeId];
        this.length = place.length;
    }
    /**
     * Decodes the elements from `start` to `end` (all by default), with the meaning of `Array.prototype.slice`.
     *
     * @throws {@link InvalidArgumentError} when one of them is no number, and for more than 4,194,304 elements at once that
     * are no numbers: go over them, or take them in parts.
     */
    slice(start = 0, end = this.length) {
        const from = clamp('start', start, this.length);
        const to = Math.max(from, clamp('end', end, this.length));
        const View = views[this.elementType];
        if (!View && to - from > MAX_VALUES) {
            const expected = `at most ${MAX_VALUES} elements behind start; go over the array, or take it in parts`;
            throw invalidArgument('end', expected, `${to - from} elements`);
        }
        const { elementTypeId, length, offset, sizeBytes } = this.#place;
        const elements = call(() => this.#model.metadataElements(elementTypeId, length, offset, sizeBytes, from, to));
        if (View)
            return new View(elements.slice().buffer);
        if (this.elementType === 'bool')
            return Array.from(elements, (byte) => byte !== 0);
        if (this.elementType === 'string')
            return elements;
        return placesOf$1(elements).map((place) => arrayAt(this.#model, place));
    }
    /**
     * Decodes every element.
     *
     * @throws as of {@link slice}.
     */
    toArray() {
        return this.slice();
    }
    /**
     * Decodes one element; negative indices count from the end.
     *
     * @throws {@link InvalidArgumentError} when the index is no number.
     */
    at(index) {
        const from = clamp('index', index, this.length);
        return index < -this.length ? undefined : this.slice(from, from + 1)[0];
    }
    /** Walks the elements, a batch at a time. */
    *[Symbol.iterator]() {
        for (let start = 0; start < this.length; start += BATCH)
            yield* this.slice(start, start + BATCH);
    }
}
/** Reads the numbers of nested arrays, four each; see `elements_to_js` in `src/metadata.rs`. */
function placesOf$1(bytes) {
    const numbers = new Float64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / Float64Array.BYTES_PER_ELEMENT);
    const places = [];
    for (let i = 0; i < numbers.length; i += 4) {
        const number = (column) => numbers[i + column];
        places.push({ elementTypeId: number(0), length: number(1), offset: number(2), sizeBytes: number(3) });
    }
    return places;
}
function clamp(name, index, length) {
    if (typeof index !== 'number')
        throw invalidArgument(name, 'a number', quoted(index));
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
        return call(() => this.#native.metadataCount());
    }
    /** The value under `key`, `undefined` if there is none. */
    get(key) {
        return this.#valueOf(call(() => this.#native.metadataValue(string('key', key))));
    }
    #valueOf(value) {
        const isArray = typeof value === 'object' && value !== null;
        return isArray ? arrayAt(this.#native, value) : value;
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
        for (let start = 0;; start += ENTRIES_BATCH) {
            const entries = call(() => this.#native.metadataEntries(start, start + ENTRIES_BATCH));
            for (let i = 0; i < entries.length; i += 2)
                yield [entries[i], this.#valueOf(entries[i + 1])];
            if (entries.length === 0)
                return;
        }
    }
    /** The same as {@link entries}. */
    [Symbol.iterator]() {
        return this.entries();
    }
}

/** Waits until all have settled, whatever becomes of each, and then throws what the first of them failed with. */
async function allSettled(work) {
    const outcomes = await Promise.allSettled(work);
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed)
        throw failed.reason;
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
        await allSettled([...this.#running].map(async (load) => load.deref()?.end(reason)));
    }
    /** Ends every load, and refuses those to come with the same reason. */
    async close(reason) {
        this.#closed ??= reason;
        await this.end(reason);
    }
}
const listening = new WeakMap();
/** Ends `load` when the signal aborts, at once if it has; the function returned undoes that. */
function listen(signal, load) {
    const entry = listening.get(signal) ?? startListening(signal);
    entry.loads.add(load);
    if (entry.ended)
        load.deref()?.abort(entry.ended.reason);
    return () => {
        entry.loads.delete(load);
        if (entry.loads.size === 0)
            entry.stop();
    };
}
function startListening(signal) {
    const entry = { loads: new Loads(), stop: () => { } };
    const unlisten = onAbort(signal, (reason) => {
        entry.ended ??= { reason };
        entry.loads.end(reason).catch(() => { }); // Each load tells its consumer.
    });
    entry.stop = () => {
        unlisten();
        if (listening.get(signal) === entry)
            listening.delete(signal);
    };
    if (!entry.ended)
        listening.set(signal, entry);
    return entry;
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
        this.#pending = Promise.resolve(null);
        const self = new WeakRef(this);
        let unlisten = () => { };
        this.#forget = () => {
            loads.delete(self);
            unlisten();
        };
        loads.add(self);
        forgotten.register(this, this.#forget, this);
        // Whatever the signal does meanwhile, closing the owner among it, meets a load that is whole.
        if (signal)
            unlisten = listen(signal, self);
        if (!this.#ended)
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
/** The chunks of a native stream, one at a time: their consumer's own, or lent. */
async function* chunks(native, as, reuse, names, totalBytes, loads, control) {
    const progress = reporter(totalBytes, control);
    const load = new Load(native, loads, control.signal);
    try {
        for (let unit = await load.next(); unit !== null; unit = await load.next()) {
            yield* reuse ? lentChunks(unit, as, names, load, progress) : ownChunks(unit, as, names, load, progress);
        }
    }
    finally {
        await load.close();
    }
}
/** Copies of the chunks of one unit, whose memory is back before the first of them is there. */
async function* ownChunks(unit, as, names, load, progress) {
    const list = places(unit, names);
    // Backwards, so that nothing here holds on to what was handed out.
    const buffers = unit.copies().reverse();
    for (const place of list) {
        load.check();
        progress(place);
        yield chunkOver(undefined, buffers.pop(), as, place);
    }
}
/** The chunks of one unit, lent. However the consumer leaves, the unit's memory goes back. */
async function* lentChunks(unit, as, names, load, progress) {
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
/**
 * Runs a native stream that fills a destination, its own or that of `deliver`, which is given each unit; after it settles
 * nothing more is written there.
 */
async function drain(native, names, totalBytes, loads, control, deliver = () => { }) {
    const progress = reporter(totalBytes, control);
    const load = new Load(native, loads, control.signal);
    try {
        for (let unit = await load.next(); unit !== null; unit = await load.next()) {
            const filled = places(unit, names);
            try {
                deliver(unit);
            }
            finally {
                unit.discard();
            }
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
    let failed;
    return (place) => {
        if (failed)
            throw failed.reason;
        chunks += 1;
        loadedBytes += place.byteEnd - place.byteStart;
        // One that is asynchronous is not waited for, but what it rejects with ends the load, too.
        absorb(onProgress?.({ tensor: place.tensor, chunks, loadedBytes, totalBytes }), (reason) => {
            failed = { reason };
        });
    };
}

const openChecks = { headerOnly: boolean, strict: boolean };
const loadChecks = {
    as: (name, value) => oneOf$1(name, value, tensorOutputs),
    signal: signal,
    onProgress: (name, value) => callback(name, value),
};
const streamChecks = {
    ...loadChecks,
    tensors: strings,
    chunkBytes: (name, value) => bytes(name, value, 1),
    pool: (name, value) => real(name, value, BufferPool, nativePool),
    reuse: boolean,
};
const { tensors: _tensors, reuse: _reuse, ...chunkChecks } = streamChecks;
const readStreamChecks = {
    ...chunkChecks,
    highWaterMark: (name, value) => bytes(name, value),
};
const intoChecks = {
    ...loadChecks,
    into: destination,
    offsetBytes: (name, value) => bytes(name, value),
};
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
        const native = call(() => NativeModel.open(filePath('path', path), { headerOnly, strict }));
        return new GgufFile(internal, native, headerOnly, context);
    }
    /**
     * Takes a copy of the bytes of a whole file, or of its header alone with `headerOnly`.
     *
     * @throws {@link InvalidGgufError} when they break a rule of the format.
     */
    static fromBytes(bytes, options$1) {
        const { headerOnly = false, strict = false } = options(options$1, openChecks);
        const view = types$3.isTypedArray(bytes) ? anyBytesOf(bytes) : undefined;
        if (!view)
            throw invalidArgument('bytes', 'a Uint8Array', quoted(bytes));
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
        this.#tensors ??= Object.freeze(tensorInfos(this.#native, this.#info.tensorCount));
        return this.#tensors;
    }
    /** The tensor of that name, `undefined` if there is none. */
    tensor(name) {
        return call(() => this.#native.tensor(string('name', name))) ?? undefined;
    }
    /**
     * Streams tensors in chunks of whole blocks, through a few pooled buffers, at the consumer's pace: the reader stays
     * about a megabyte ahead and waits. Each chunk is its consumer's own, unless they are lent by `reuse: true`. All work happens on a thread of the stream's own, which starts with the first
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
        const { as = 'raw', tensors, chunkBytes = MiB, pool, reuse = false } = checked;
        const { pool: ownPool, loads } = this.#context ?? standaloneContext();
        const request = { output: as, chunkBytes, tensors };
        const native = call(() => this.#native.stream(nativePool(pool ?? ownPool), request));
        const totalBytes = call(() => this.#native.storedBytes(tensors));
        return chunks(native, as, reuse, this.#names(), totalBytes, loads, control(checked));
    }
    /**
     * The bytes of one tensor as a `Readable` of Node.js's, for `pipeline`, a response, or any other consumer of streams. Numbers
     * are in the byte order of this machine.
     *
     * Destroying it, by itself or by its signal, ends the reading. It is destroyed with the errors that {@link stream} rejects
     * with.
     *
     * @throws as of {@link stream}.
     * @example
     * await pipeline(model.createReadStream('output.weight', { as: 'f16' }), response)
     */
    createReadStream(tensor, options$1) {
        const checked = options(options$1, readStreamChecks);
        const { highWaterMark, signal, ...rest } = checked;
        const { chunkBytes = MiB } = checked;
        const chunks = this.stream({ ...rest, tensors: [string('tensor', tensor)] });
        return readStream(chunks, highWaterMark ?? chunkBytes, signal);
    }
    async load(name, options$1) {
        const checked = options(options$1, intoChecks);
        const { as = 'raw', into, offsetBytes } = checked;
        const info = this.tensor(name);
        if (!info)
            throw invalidArgument('name', 'the name of a tensor of this file', quoted(name));
        const dataBytes = tensorDataBytes(info, as);
        const { pool, loads } = this.#context ?? standaloneContext();
        const through = nativePool(pool);
        const request = { output: as, chunkBytes: 4 * MiB, tensors: [name] };
        const run = (native, deliver) => drain(native, this.#names(), info.sizeBytes, loads, control(checked), deliver);
        const place = bufferPlace(into);
        if (place) {
            const offset = alignedOffset(offsetBytes ?? 0, elementBytes(as));
            await run(call(() => this.#native.streamIntoBuffer(through, request, place.native, place.key, offset)));
            return into;
        }
        if (offsetBytes !== undefined)
            throw invalidArgument('offsetBytes', 'left to a DeviceBuffer', offsetBytes);
        if (into === undefined) {
            if (dataBytes > node_buffer.constants.MAX_LENGTH)
                throw tooLarge(dataBytes);
            const native = call(() => this.#native.streamIntoNew(through, request, dataBytes));
            await run(native);
            return view(as, native.takeFilled());
        }
        const target = windowOf(into, dataBytes, elementBytes(as));
        const leased = call(() => this.#native.streamIntoLeased(through, request, target));
        if (leased)
            await inUse(target.buffer, run(leased));
        else
            await this.#loadInPieces(through, { ...request, chunkBytes: MiB }, target, run);
        if (target.length !== dataBytes)
            throw movedAway();
        return over(as, target);
    }
    /** Fills memory that a script can move away: on the event loop, out of pooled buffers. */
    async #loadInPieces(through, request, target, run) {
        const { length } = target;
        let done = 0;
        await run(call(() => this.#native.stream(through, request)), (unit) => {
            done += call(() => unit.copyInto(target, length, done));
        });
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
        const names = call(() => this.#native.tensorNames());
        // The chunks of a tensor come one after the other.
        let last = -1;
        let name = '';
        return (index) => {
            if (index !== last)
                name = names.at(index);
            last = index;
            return name;
        };
    }
}
const control = ({ signal, onProgress }) => ({ signal, onProgress });
/** Where a tensor begins in a buffer; the buffer itself is aligned to more than any element. */
function alignedOffset(offsetBytes, alignmentBytes) {
    if (offsetBytes % alignmentBytes === 0)
        return offsetBytes;
    throw invalidArgument('offsetBytes', `a multiple of its elements' ${alignmentBytes} bytes`, offsetBytes);
}
function over(as, bytes) {
    return view(as, bytes.buffer, bytes.byteOffset, bytes.byteLength / elementBytes(as));
}

/** Buffers of the GPU: the device's own memory, pinned RAM, or managed memory. */
const gpuFamily = {
    name: 'GPU',
    kinds: {
        device: { kind: 'cuda', memory: 'device' },
        pinned: { kind: 'cuda', memory: 'pinned' },
        managed: { kind: 'cuda', memory: 'managed' },
    },
    preferred: ['device'],
};
/** Buffers for the NPU: what its runtime imports; or, by name, its driver's own. */
const npuFamily = {
    name: 'NPU',
    kinds: { 'dma-heap': { kind: 'dma-heap' }, udmabuf: { kind: 'udmabuf' }, rknpu: { kind: 'rknpu' } },
    preferred: ['dma-heap', 'udmabuf'],
};
/** Buffers of ordinary RAM: of this process alone, or memory files that other processes can map. */
const systemFamily = {
    name: 'system',
    kinds: { anonymous: { kind: 'host' }, 'memory-file': { kind: 'host', memoryFile: true } },
    preferred: ['anonymous'],
};
/**
 * Buffers of one kind of processor, each taken from the device by itself, on a manager's account.
 *
 * @example
 * using input = await manager.npu.allocate(640 * 640 * 3, { label: 'input' })
 * const { fd } = await input.exportFd()
 */
class DeviceFamily {
    #family;
    #budget;
    #shared;
    #pools = new Map();
    #open = new Map();
    #peak = { bytes: 0 };
    #closed = false;
    /** @internal */
    constructor(mark, family, budget, shared) {
        expectInternal(mark, 'DeviceFamily', 'new MemoryManager()');
        this.#family = family;
        this.#budget = budget;
        this.#shared = shared;
    }
    /**
     * Takes a buffer from the device, with the machine's headroom and the manager's budget asked before. Before it refuses,
     * it waits for what the manager's families and pools have on its way back, and the pools give back what they merely keep
     * for what comes next.
     *
     * @throws {@link DeviceUnavailableError} when there is no such device, or this process may not use it.
     * @throws {@link InsufficientMemoryError} when the budget or the machine has not that much.
     * @throws {@link DeviceError} as the device says.
     * @throws {@link InvalidArgumentError} for an unfit size or option; {@link ReleasedError} after the manager was closed.
     */
    async allocate(bytes$1, options$1) {
        const sizeBytes = bytes('bytes', bytes$1, 1);
        const kinds = Object.keys(this.#family.kinds);
        const { label, kind, signal: signal$1 } = options(options$1, {
            label: string,
            kind: (name, value) => oneOf$1(name, value, kinds),
            signal: signal,
        });
        const pool = await (kind === undefined ? this.#preferred() : this.#pool(kind));
        const buffer = await pool.allocateAsync(sizeBytes, { label: label ?? '', ...(signal$1 && { signal: signal$1 }) });
        this.#peak.bytes = Math.max(this.#peak.bytes, this.#usedBytes());
        return buffer;
    }
    /** The first kind whose device can be opened; the refusal of the first where none can. */
    async #preferred() {
        let refusal;
        for (const kind of this.#family.preferred) {
            try {
                return await this.#pool(kind);
            }
            catch (error) {
                refusal ??= error;
            }
        }
        throw refusal;
    }
    #pool(kind) {
        if (this.#closed)
            throw released('the memory manager');
        const open = this.#pools.get(kind) ?? this.#openPool(kind);
        this.#pools.set(kind, open);
        // What is missing now may be there later.
        open.catch(() => this.#pools.delete(kind));
        return open;
    }
    async #openPool(kind) {
        const { name, kinds } = this.#family;
        const options = { device: kinds[kind], dedicated: true, budget: this.#budget, label: `${name} memory` };
        const pool = await this.#shared.makePool(own$2(options));
        this.#open.set(kind, pool);
        if (!this.#closed)
            return pool;
        await pool.destroy();
        throw released('the memory manager');
    }
    #usedBytes() {
        return [...this.#open.values()].reduce((sum, pool) => sum + pool.stats().requestedBytes, 0);
    }
    /** What was given out. Never waits for a device. */
    stats() {
        const kinds = Object.keys(this.#family.kinds);
        const open = kinds.flatMap((kind) => this.#open.get(kind) ?? []);
        const devices = open.map((pool) => [pool.device.name, { usage: pool.device.usage(), pool: pool.stats() }]);
        const { totalBytes = 0, freeBytes = 0, largestFreeBytes = freeBytes } = devices[0]?.[1].usage ?? {};
        const sum = (of) => devices.reduce((all, [, { pool }]) => all + of(pool), 0);
        return {
            usedBytes: sum(({ requestedBytes }) => requestedBytes),
            peakBytes: this.#peak.bytes,
            count: sum(({ bufferCount }) => bufferCount),
            allocatedCount: sum(({ allocatedCount }) => allocatedCount),
            totalBytes,
            freeBytes,
            largestFreeBytes,
            fragmentationPercent: freeBytes === 0 ? 0 : (1 - largestFreeBytes / freeBytes) * 100,
            devices: Object.fromEntries(devices),
        };
    }
    /** @internal Gives back every buffer, and takes no more. */
    async close() {
        this.#closed = true;
        await allSettled([...this.#open.values()].map((pool) => pool.destroy()));
    }
}

const count$1 = (name, value) => bytes(name, value);
/** Checks a size that is none without a byte. */
const sizeOf = (name, value) => bytes(name, value, 1);
const autoDefragmentChecks = {
    abovePercent: (name, value) => number(name, value, 0, 100),
    maxMs: (name, value) => number(name, value, 0, 3_600_000),
};
const autoDefragment = (name, value) => typeof value === 'boolean' ? value : options(value, autoDefragmentChecks, name);
/** Checks the options of a pool. */
const poolChecks = {
    device: deviceChoice,
    label: string,
    slabBytes: sizeOf,
    initialBytes: count$1,
    maxBytes: sizeOf,
    maxCachedBytes: count$1,
    pageBytes: sizeOf,
    dedicated: boolean,
    zeroOnFree: boolean,
    autoDefragment,
    budget: (name, value) => real(name, value, MemoryBudget, nativeBudget),
};
/** Checks the options of a buffer. */
const bufferChecks = {
    label: string,
    alignBytes: sizeOf,
    placement: (name, value) => oneOf$1(name, value, ['long', 'transient']),
};
/** Checks those of a buffer that may take a slab. */
const growingChecks = { ...bufferChecks, signal: signal };
/** Checks the bounds of a defragmentation. */
const defragmentChecks = {
    maxBytes: count$1,
    maxMoves: count$1,
    maxMs: autoDefragmentChecks.maxMs,
    dryRun: boolean,
    veto: (name, value) => callback(name, value),
    onMoved: (name, value) => callback(name, value),
    signal: signal,
};

const references = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
/** What HTML reads as markup, and what shows nothing or turns the direction of writing. */
const unsafe = /[&<>"'\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
/** A text of unknown origin as HTML that only shows it; what would not be seen comes out as its JSON escape. */
const escaped = (text) => text.replace(unsafe, (character) => references[character] ?? unicodeEscape(character));
const unicodeEscape = (text) => Array.from({ length: text.length }, (_, i) => `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`).join('');
/** What a page's policy calls a style or a script that stands in it. */
function sourceOf(text) {
    // Asked for when it is needed: loading the package does not wait for it.
    const { createHash } = require('node:crypto');
    return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
/** A template with what stands for `{{name}}` in it. */
const filledIn = (template, parts) => template.replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name]);

const base = ":root {\n  color-scheme: light dark;\n  --page: #f6f7f9;\n  --card: #ffffff;\n  --ink: #1c2330;\n  --quiet: #667085;\n  --line: #e3e6eb;\n  --accent: #2f6feb;\n  --shadow: 0 1px 2px #1018280d, 0 1px 3px #1018281a;\n}\n\n@media (prefers-color-scheme: dark) {\n  :root {\n    --page: #0f1216;\n    --card: #181c22;\n    --ink: #e6e9ee;\n    --quiet: #98a1b0;\n    --line: #2a3038;\n    --accent: #6ea1ff;\n    --shadow: none;\n  }\n}\n\n* {\n  box-sizing: border-box;\n}\n\nbody {\n  margin: 0;\n  padding: 32px 24px 64px;\n  background: var(--page);\n  color: var(--ink);\n  font:\n    14px / 1.45 system-ui,\n    sans-serif;\n}\n\nheader,\nmain {\n  max-width: 1120px;\n  margin: 0 auto;\n}\n\nh1,\nh2,\np {\n  margin: 0;\n}\n\nh1 {\n  font-size: 24px;\n  font-weight: 650;\n  letter-spacing: -0.01em;\n}\n\nh2 {\n  font-size: 15px;\n  font-weight: 600;\n}\n\n.quiet,\nheader p,\nth,\nnav {\n  color: var(--quiet);\n}\n\ntable {\n  width: 100%;\n  margin-top: 12px;\n  border-collapse: collapse;\n}\n\nth,\ntd {\n  padding: 6px 10px 6px 0;\n  border-bottom: 1px solid var(--line);\n  font-weight: 400;\n  text-align: right;\n  font-variant-numeric: tabular-nums;\n  white-space: nowrap;\n}\n\nsection {\n  margin-top: 20px;\n  padding: 18px 20px;\n  border: 1px solid var(--line);\n  border-radius: 12px;\n  background: var(--card);\n  box-shadow: var(--shadow);\n}\n\n.figures {\n  display: grid;\n  grid-template-columns: repeat(auto-fit, minmax(150px, 1fr));\n  gap: 18px;\n}\n\n.figures div {\n  display: flex;\n  flex-direction: column;\n}\n\n.figure {\n  font-size: 20px;\n  font-weight: 600;\n  font-variant-numeric: tabular-nums;\n}\n\n.bar {\n  display: flex;\n  flex-wrap: wrap;\n  align-items: center;\n  justify-content: space-between;\n  gap: 10px;\n}\n\nth:first-child,\ntd:first-child {\n  width: 50%;\n  text-align: left;\n  overflow-wrap: anywhere;\n  white-space: normal;\n}\n\ntbody tr:last-child td {\n  border-bottom: 0;\n}\n\nbdi,\npre {\n  unicode-bidi: isolate;\n}\n";

/** What is in a block. */
function kindOf(block) {
    const { requestedBytes, transient, pinned } = own$2(block);
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

const own$1 = ":root {\n  --long: #2f6feb;\n  --transient: #f0a03a;\n  --pinned: #8a3ffc;\n  --free: #e3e6eb;\n}\n\n@media (prefers-color-scheme: dark) {\n  :root {\n    --long: #4c8bff;\n    --transient: #e0932f;\n    --pinned: #be95ff;\n    --free: #2a3038;\n  }\n}\n\nh2 {\n  font-size: 18px;\n}\n\nh3 {\n  margin: 22px 0 0;\n  font-size: 15px;\n  font-weight: 600;\n}\n\n.figures {\n  margin: 16px 0 0;\n}\n\ndt {\n  color: var(--quiet);\n}\n\ndd {\n  margin: 0;\n}\n\n.legend {\n  display: flex;\n  flex-wrap: wrap;\n  gap: 18px;\n  margin: 22px 0 0;\n  padding: 0;\n  list-style: none;\n}\n\n.key {\n  width: 12px;\n  height: 12px;\n  margin-right: 7px;\n  vertical-align: -1px;\n}\n\n.slabs td:first-child,\n.slabs th:first-child {\n  width: auto;\n  white-space: nowrap;\n}\n\n.slabs .picture {\n  width: 80%;\n  padding-right: 14px;\n}\n\n.blocks {\n  display: block;\n  width: 100%;\n  height: 28px;\n  border-radius: 4px;\n}\n\n.long {\n  fill: var(--long);\n}\n\n.transient {\n  fill: var(--transient);\n}\n\n.pinned {\n  fill: var(--pinned);\n}\n\n.free {\n  fill: var(--free);\n}\n\n.edged {\n  stroke: var(--card);\n  stroke-width: 1px;\n  vector-effect: non-scaling-stroke;\n}\n\nrect:hover {\n  opacity: 0.75;\n}\n\n@media (max-width: 640px) {\n  body {\n    padding: 16px 10px;\n  }\n\n  .optional {\n    display: none;\n  }\n\n  .slabs .picture {\n    width: 60%;\n  }\n}\n";

const template$1 = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"{{policy}}\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>Memory pools</title>\n<style>{{style}}</style>\n</head>\n<body>\n<header>\n  <h1>Memory pools</h1>\n  <p>{{about}}</p>\n</header>\n<main>\n{{pools}}\n</main>\n</body>\n</html>\n";

const size$1 = (name, value) => bytes(name, value);
const count = (name, value) => integer(name, value, 0, Number.MAX_SAFE_INTEGER);
const share$1 = (name, value) => number(name, value, 0, 100);
/** What a figure of a pool may be. */
const figures = {
    heldBytes: size$1,
    usedBytes: size$1,
    requestedBytes: size$1,
    freeBytes: size$1,
    cachedBytes: size$1,
    largestFreeBytes: size$1,
    fragmentationPercent: share$1,
    peakHeldBytes: size$1,
    peakUsedBytes: size$1,
    slabCount: count,
    bufferCount: count,
    allocatedCount: count,
    freedCount: count,
    failedCount: count,
    retryCount: count,
    movedCount: count,
    movedBytes: size$1,
    metadataBytes: size$1,
};
/**
 * Reads the text of a {@link PoolSnapshot}, or of an array of them, as `JSON.stringify` writes them.
 *
 * @throws {@link InvalidArgumentError} that names the first thing in it that is unfit.
 * @example
 * await writeFile('pool.html', poolsPage(parsePoolSnapshots(await readFile('pool.json', 'utf8'))))
 */
function parsePoolSnapshots(text) {
    let value;
    try {
        value = JSON.parse(string('text', text));
    }
    catch (error) {
        if (!(error instanceof SyntaxError))
            throw error;
        throw invalidArgument('text', 'the JSON of a snapshot of a pool, or of an array of them', error.message);
    }
    return Array.isArray(value) ? poolSnapshots('snapshots', value) : [poolSnapshot('snapshot', value)];
}
/** Checks snapshots that came from outside. */
const poolSnapshots = (name, value) => list(name, value, poolSnapshot);
function poolSnapshot(name, value) {
    const { plimsollSnapshot, device, label, timeMs, stats, slabs } = fields(name, value);
    if (plimsollSnapshot !== 1) {
        throw invalidArgument(`${name}.plimsollSnapshot`, '1, the version that is known', quoted(plimsollSnapshot));
    }
    return {
        plimsollSnapshot,
        device: string(`${name}.device`, device),
        label: string(`${name}.label`, label),
        // The last moment that a Date can hold.
        timeMs: number(`${name}.timeMs`, timeMs, 0, 8.64e15),
        stats: poolStats(`${name}.stats`, stats),
        slabs: list(`${name}.slabs`, slabs, slabInfo),
    };
}
function poolStats(name, value) {
    const given = fields(name, value);
    const checked = Object.entries(figures).map(([key, figure]) => [key, figure(`${name}.${key}`, given[key])]);
    return Object.fromEntries(checked);
}
function slabInfo(name, value) {
    const { index, sizeBytes, usedBytes, initial, blocks } = fields(name, value);
    const slab = {
        index: integer(`${name}.index`, index, 0, 2 ** 32 - 1),
        sizeBytes: bytes(`${name}.sizeBytes`, sizeBytes, 1),
        usedBytes: bytes(`${name}.usedBytes`, usedBytes),
        initial: boolean(`${name}.initial`, initial),
        blocks: list(`${name}.blocks`, blocks, blockInfo),
    };
    refuseDisorder(name, slab);
    return slab;
}
/** Blocks follow each other, and lie within their slab. */
function refuseDisorder(name, { sizeBytes, blocks }) {
    let end = 0;
    for (const [i, block] of blocks.entries()) {
        bytes(`${name}.blocks[${i}].offsetBytes`, block.offsetBytes, end, sizeBytes);
        bytes(`${name}.blocks[${i}].sizeBytes`, block.sizeBytes, 1, sizeBytes - block.offsetBytes);
        end = block.offsetBytes + block.sizeBytes;
    }
}
function blockInfo(name, value) {
    const { offsetBytes, sizeBytes, label, requestedBytes, transient, pinned } = fields(name, value);
    const block = {
        offsetBytes: bytes(`${name}.offsetBytes`, offsetBytes),
        sizeBytes: bytes(`${name}.sizeBytes`, sizeBytes),
    };
    if (requestedBytes === undefined)
        return block;
    return {
        ...block,
        label: string(`${name}.label`, label),
        requestedBytes: bytes(`${name}.requestedBytes`, requestedBytes, 0, block.sizeBytes),
        transient: boolean(`${name}.transient`, transient),
        pinned: boolean(`${name}.pinned`, pinned),
    };
}
function fields(name, value) {
    if (typeof value === 'object' && value !== null && canBeAsked(value) && !Array.isArray(value))
        return own$2(value);
    throw invalidArgument(name, 'an object', quoted(value));
}
function list(name, value, item) {
    return array(name, 'an array', value, (each, i) => item(`${name}[${i}]`, each));
}

/** Units that a slab is wide. */
const WIDTH = 1000;
/** Blocks that are narrower are drawn with their neighbours as one. */
const NARROWEST = 1;
/** Blocks from this width on have an edge. */
const EDGED = 4;
/** Slabs of a pool drawn at most. */
const MAX_SLABS = 100;
/** Buffers of a pool listed at most. */
const MAX_BUFFERS = 100;
/** Characters of a label shown at most. */
const MAX_LABEL = 120;
const style$1 = `${base}\n${own$1}`;
const kindNames = {
    long: 'long-lived',
    transient: 'transient',
    pinned: 'pinned',
    free: 'free',
};
/**
 * Snapshots of pools as one page that needs nothing but a browser: every slab with its blocks, and the pools' figures.
 * Nothing outside of it is loaded, and nothing in it is run, whatever the labels say.
 *
 * @throws {@link InvalidArgumentError} when `snapshots` is not an array of snapshots.
 * @example
 * await writeFile('pool.html', poolsPage([pool.snapshot()]))
 */
function poolsPage(snapshots) {
    const pools = poolSnapshots('snapshots', snapshots);
    return filledIn(template$1, {
        policy: `default-src 'none'; style-src ${sourceOf(style$1)}`,
        style: style$1,
        about: aboutOf(pools),
        pools: pools.map(poolSection).join('\n'),
    });
}
function aboutOf(pools) {
    const sum = (of) => pools.reduce((all, pool) => all + of(pool), 0);
    const heldBytes = sum(({ stats }) => stats.heldBytes);
    const usedBytes = sum(({ stats }) => stats.usedBytes);
    const number = pools.length === 1 ? '1 pool' : `${pools.length} pools`;
    return `${number}, ${size(heldBytes)} held, ${size(usedBytes)} of it used`;
}
/** Sums of sizes that each are exact need not be. */
const size = (bytes) => formatBytes(Math.min(bytes, Number.MAX_SAFE_INTEGER));
function poolSection(pool) {
    const time = new Date(pool.timeMs).toISOString();
    return [
        '<section>',
        `<div class="bar"><h2><bdi>${shownLabel(pool.label)}</bdi></h2>`,
        `<span class="quiet">on <bdi>${shownLabel(pool.device)}</bdi>, <time datetime="${time}">${time}</time></span></div>`,
        figuresOf(pool),
        legend,
        slabTable(pool.slabs),
        bufferTable(pool.slabs),
        '</section>',
    ].join('\n');
}
function shownLabel(label) {
    const characters = [...label.slice(0, 2 * MAX_LABEL + 2)];
    return escaped(characters.length > MAX_LABEL ? `${characters.slice(0, MAX_LABEL - 1).join('')}…` : label);
}
function figuresOf({ stats }) {
    const figures = [
        ['held', size(stats.heldBytes)],
        ['used', size(stats.usedBytes)],
        ['asked for', size(stats.requestedBytes)],
        ['free', size(stats.freeBytes)],
        ['largest hole', size(stats.largestFreeBytes)],
        ['fragmentation', `${stats.fragmentationPercent.toFixed(1)} %`],
        ['slabs', stats.slabCount.toLocaleString('en-US')],
        ['buffers', stats.bufferCount.toLocaleString('en-US')],
        ['most held', size(stats.peakHeldBytes)],
        ['most used', size(stats.peakUsedBytes)],
        ['moves', stats.movedCount.toLocaleString('en-US')],
        ['metadata', size(stats.metadataBytes)],
    ];
    const items = figures.map(([name, value]) => `<div><dt>${name}</dt><dd class="figure">${value}</dd></div>`);
    return `<dl class="figures">${items.join('')}</dl>`;
}
const legend = `<ul class="legend">${Object.entries(kindNames)
    .map(([kind, name]) => `<li><svg class="key" viewBox="0 0 1 1"><rect class="${kind}" width="1" height="1"/></svg>${name}</li>`)
    .join('')}</ul>`;
function slabTable(slabs) {
    const rows = slabs.slice(0, MAX_SLABS).map(slabRow);
    return [
        '<table class="slabs"><thead><tr><th>slab</th><th class="optional">size</th><th></th><th>used</th></tr></thead>',
        `<tbody>${rows.join('\n')}</tbody></table>`,
        hidden(slabs.length - MAX_SLABS, 'slabs'),
    ].join('');
}
const hidden = (count, what) => count > 0 ? `<p class="quiet">and ${count.toLocaleString('en-US')} more ${what}</p>` : '';
function slabRow(slab) {
    const used = `${((slab.usedBytes / slab.sizeBytes) * 100).toFixed(1)} %`;
    const name = `slab ${slab.index}, ${size(slab.sizeBytes)}, ${used} used`;
    const cells = [
        `<td>${slab.index}</td><td class="optional">${size(slab.sizeBytes)}</td>`,
        `<td class="picture"><svg class="blocks" viewBox="0 0 ${WIDTH} 1" preserveAspectRatio="none" role="img" `,
        `aria-label="${name}">${rectanglesOf(slab).join('')}</svg></td><td>${used}</td>`,
    ];
    return `<tr>${cells.join('')}</tr>`;
}
/** The blocks of a slab, narrow ones together: no slab takes more rectangles than it has units. */
function rectanglesOf(slab) {
    const unitBytes = slab.sizeBytes / WIDTH;
    const drawn = [];
    let run;
    const flush = () => {
        if (run)
            drawn.push(runRectangle(run, unitBytes));
        run = undefined;
    };
    for (const block of wholeSlab(slab)) {
        if (block.sizeBytes >= NARROWEST * unitBytes) {
            flush();
            drawn.push(rectangle(block, unitBytes, kindOf(block), titleOf(block)));
            continue;
        }
        run ??= { blocks: 0, buffers: 0, offsetBytes: block.offsetBytes, sizeBytes: 0, usedBytes: none() };
        extend(run, block);
        if (run.sizeBytes >= NARROWEST * unitBytes)
            flush();
    }
    flush();
    return drawn;
}
const none = () => ({ long: 0, transient: 0, pinned: 0, free: 0 });
function extend(run, block) {
    const kind = kindOf(block);
    run.blocks += 1;
    run.buffers += kind === 'free' ? 0 : 1;
    run.sizeBytes += block.sizeBytes;
    run.usedBytes[kind] += block.sizeBytes;
}
function runRectangle(run, unitBytes) {
    const [kind] = Object.entries(run.usedBytes).reduce((most, each) => (each[1] > most[1] ? each : most));
    const free = size(run.usedBytes.free);
    const title = `${run.blocks} blocks: ${run.buffers} buffers, ${free} free\n${placeOf$1(run)}`;
    return rectangle(run, unitBytes, kind, title);
}
function titleOf(block) {
    const kind = kindOf(block);
    if (kind === 'free')
        return `free\n${placeOf$1(block)}`;
    const label = block.label ? shownLabel(block.label) : 'no label';
    return `${label}\n${kindNames[kind]}, ${size(block.requestedBytes ?? 0)} asked for\n${placeOf$1(block)}`;
}
const placeOf$1 = ({ offsetBytes, sizeBytes }) => `${size(sizeBytes)} at ${size(offsetBytes)}`;
/** `title` is HTML. */
function rectangle({ offsetBytes, sizeBytes }, unitBytes, kind, title) {
    const width = sizeBytes / unitBytes;
    const edge = width >= EDGED ? ' edged' : '';
    const place = `x="${units(offsetBytes / unitBytes)}" width="${units(width)}"`;
    return `<rect class="${kind}${edge}" ${place} height="1"><title>${title}</title></rect>`;
}
const units = (width) => String(Number(width.toFixed(3)));
function bufferTable(slabs) {
    const buffers = slabs.flatMap(({ index, blocks }) => blocks.filter((block) => kindOf(block) !== 'free').map((block) => ({ slab: index, block })));
    if (buffers.length === 0)
        return '';
    const rows = buffers
        .sort((a, b) => b.block.sizeBytes - a.block.sizeBytes)
        .slice(0, MAX_BUFFERS)
        .map(bufferRow);
    return [
        '<h3>Largest buffers</h3>',
        '<table><thead><tr><th>label</th><th>asked for</th><th class="optional">block</th><th>kind</th><th>slab</th>',
        `<th class="optional">offset</th></tr></thead><tbody>${rows.join('\n')}</tbody></table>`,
        hidden(buffers.length - MAX_BUFFERS, 'buffers'),
    ].join('');
}
const bufferRow = ({ slab, block }) => [
    `<tr><td><bdi>${block.label ? shownLabel(block.label) : '<span class="quiet">no label</span>'}</bdi></td>`,
    `<td>${size(block.requestedBytes ?? 0)}</td><td class="optional">${size(block.sizeBytes)}</td>`,
    `<td>${kindNames[kindOf(block)]}</td><td>${slab}</td><td class="optional">${size(block.offsetBytes)}</td></tr>`,
].join('');

/** @internal */
function traceOf(trace, pool, settings) {
    const { lines, eventCount, droppedCount } = trace;
    const header = { plimsollTrace: 1, device: pool.device.name, label: pool.label, settings, droppedCount };
    return { eventCount, droppedCount, text: `${JSON.stringify(header)}\n${lines}` };
}

/** How long nothing has to happen to a pool before it defragments itself. */
const IDLE_MS = 50;
/** How long a pass that did not come to its end is kept for the next call. */
const PASS_KEPT_MS = 5000;
/** Makes a pool whose request for memory also asks its owner. */
let makePool;
/**
 * Has a pool give back what it merely keeps for what comes next, and waits for what is on its way back already; resolves to
 * the bytes of both.
 */
let giveBackIdle;
/** Whether it is a pool, and none that only looks like one. */
let isPool;
/** The net: gives back what a pool held that was collected, as were all its buffers. */
const net$1 = new FinalizationRegistry(({ table, label, end }) => {
    if (end.destroyed)
        return;
    const warn = (heldBytes) => {
        if (heldBytes === 0)
            return;
        const message = `A memory pool labelled "${label}" with ${heldBytes} bytes was collected without being destroyed. ` +
            'Its memory was given back now; call destroy() or use `await using`.';
        process.emitWarning(leakWarning(message, label, heldBytes));
    };
    abandonPool(table).then(warn, () => { });
});
/**
 * A pool of real device memory: slabs from a device, buffers out of slabs.
 *
 * What is where is kept outside of the memory. Buffers of any size find a place in constant time, an empty slab serves
 * any size up to its own, and slabs without buffers go back to the device.
 *
 * @example
 * await using pool = await MemoryPool.create({ device: 'host', initialBytes: 64 * MiB })
 * using buffer = pool.allocate(4 * MiB, { label: 'activations' })
 * await buffer.withMapping((view) => view.fill(1))
 */
class MemoryPool {
    #native;
    /** Its buffers, as the two calls that each of them goes through want them. */
    #table;
    #owner;
    #settings;
    #auto;
    /** The label of each live buffer, by its key; those without one are left out. */
    #labels = new Map();
    #pressure = new Set();
    #freed;
    #idle;
    /** Buffers handed out: whether it has been idle. */
    #taken = 0;
    /** What is on its way back to the device: the bytes of each call. */
    #returning = new Set();
    #collecting;
    #collectAgain = false;
    #defragmenting = Promise.resolve();
    /** The pass that met a bound before it was complete, and what ends it when no call goes on with it. */
    #unfinished;
    #growing = Promise.resolve();
    /** What ends the requests that wait for others to give memory back. */
    #waiting = new Set();
    /** Whether it was destroyed; its buffers look there too. */
    #end = { destroyed: false };
    #gone;
    /** Where its memory comes from. */
    device;
    /** What it is called. */
    label;
    static {
        giveBackIdle = async (pool) => {
            const idle = () => pool.#native.trimCached();
            const [returnedBytes, idleBytes] = await Promise.all([pool.#returned(), pool.#giveBack(idle)]);
            return returnedBytes + idleBytes;
        };
        isPool = (value) => typeof value === 'object' && value !== null && #native in value;
        makePool = async (options, owner) => {
            if (options.dedicated && options.autoDefragment) {
                throw invalidArgument('autoDefragment', 'left out of a pool that is dedicated, where nothing moves', 'both');
            }
            const device = await Device.open(options.device ?? 'auto');
            const { label = 'memory pool', budget, autoDefragment: auto = false, zeroOnFree = false } = options;
            const settings = settingsOf(options);
            try {
                const of = nativeDevice(device);
                const slabs = own$2({ dedicated: false, zeroOnFree, ...settings, label });
                const made = await NativePool.create(of, budget && nativeBudget(budget), slabs);
                const defragment = auto === true ? {} : auto || undefined;
                return new MemoryPool(internal, made, { device, label, settings, auto: defragment, owner });
            }
            catch (error) {
                throw fromNative(error);
            }
        };
    }
    constructor(mark, of, making) {
        expectInternal(mark, 'MemoryPool', 'MemoryPool.create()');
        const { device, label, settings, auto, owner } = making;
        this.#native = of;
        this.#table = of.table();
        this.#owner = owner;
        this.#settings = settings;
        this.#auto = auto && { abovePercent: 50, maxMs: 10, ...auto };
        this.device = device;
        this.label = label;
        // Its native half outlives it as long as there are buffers.
        net$1.register(of, { table: this.#table, label, end: this.#end });
        // Freeing must not keep the pool alive for the sake of a buffer that was dropped.
        const self = new WeakRef(this);
        this.#freed = (key, retired) => {
            const pool = self.deref();
            if (pool)
                pool.#afterFree(key, retired);
            // The pool was dropped, and its last buffers give its slabs back.
            else if (retired)
                of.collect().catch(() => { });
        };
    }
    /**
     * Makes a pool, and takes its `initialBytes`.
     *
     * @throws {@link DeviceUnavailableError} when the machine has no such device, or this process may not use it.
     * @throws {@link InsufficientMemoryError} when the budget or the machine has not `initialBytes`.
     * @throws {@link InvalidArgumentError} for an unknown or unfit option, or one that does not fit the device.
     */
    static async create(options$1) {
        return makePool(options(options$1, poolChecks));
    }
    /**
     * Hands out a buffer from the slabs that are held; it asks no device and waits for nothing. Its bytes are those of the
     * last user unless the pool is `zeroOnFree`.
     *
     * @throws {@link InsufficientMemoryError} when no hole fits; `largestFreeBytes` is the largest. {@link reserve} first,
     * or use {@link allocateAsync}.
     * @throws {@link InvalidArgumentError} for an unfit size or option.
     * @throws {@link ReleasedError} after {@link destroy}.
     */
    allocate(bytes, options$1) {
        const sizeBytes = sizeOf('bytes', bytes);
        if (options$1 === undefined)
            return this.#take(sizeBytes, 256, false, '');
        const { alignBytes = 256, placement, label = '' } = options(options$1, bufferChecks);
        return this.#take(sizeBytes, alignBytes, placement === 'transient', label);
    }
    #take(sizeBytes, alignBytes, transient, label) {
        this.#expectLive();
        let key;
        try {
            key = allocateBuffer(this.#table, sizeBytes, alignBytes, transient, label === '' ? undefined : label);
        }
        catch (error) {
            throw fromNative(error);
        }
        return this.#bufferOf(key, sizeBytes, label);
    }
    #bufferOf(key, sizeBytes, label) {
        this.#taken += 1;
        if (label !== '')
            this.#labels.set(key, label);
        return poolBuffer({
            native: this.#native,
            table: this.#table,
            key,
            label,
            sizeBytes,
            device: this.device.name,
            freed: this.#freed,
            pool: this.#end,
            released: false,
        });
    }
    /**
     * Hands out a buffer, and does what it can before it refuses, in this order: a fitting hole, a cached slab, a new slab,
     * cached slabs of other sizes given back, {@link onPressure}, defragmentation.
     *
     * @throws {@link AbortError} when `signal` aborts.
     * @throws as of {@link allocate}, and {@link DeviceError} as the device says.
     */
    async allocateAsync(bytes, options$1) {
        const sizeBytes = sizeOf('bytes', bytes);
        const { signal, ...others } = options(options$1, growingChecks);
        const placing = own$2(others);
        let defragmented = false;
        throwAborted(signal);
        for (;;) {
            const before = this.#native.givenBackBytes();
            const grown = await this.#takeOrGrow(sizeBytes, placing);
            const aborted = abortion(signal);
            if (aborted) {
                // The slab that was taken for it goes back with it.
                if (!(grown instanceof InsufficientMemoryError))
                    grown.release();
                throw new AbortError(aborted.reason);
            }
            if (!(grown instanceof InsufficientMemoryError))
                return grown;
            if (!(await this.#run(() => this.#native.beginRetry(sizeBytes)))) {
                throw this.#refusal(grown, sizeBytes, placing.label);
            }
            const relieved = async () => (await this.#gaveBack(grown, before)) || (await this.#relieved(sizeBytes, signal));
            if (await this.#unlessEnded(relieved(), signal))
                continue;
            if (defragmented)
                throw this.#refusal(grown, sizeBytes, placing.label);
            defragmented = true;
            const surelyBytes = sizeBytes + (placing.alignBytes ?? 256) - 256;
            const enough = () => abortion(signal) !== undefined || this.stats().largestFreeBytes >= surelyBytes;
            await this.#unlessEnded(this.#queue(own$2({}), enough), signal);
        }
    }
    /** What others do for a request, unless that is given up or the pool destroyed before. */
    async #unlessEnded(work, signal) {
        let reject = () => { };
        const ended = new Promise((_, rejected) => {
            reject = rejected;
        });
        const destroyed = () => reject(released('the memory pool'));
        this.#waiting.add(destroyed);
        const unlisten = signal && onAbort(signal, (reason) => reject(new AbortError(reason)));
        if (this.#end.destroyed)
            destroyed();
        try {
            return await Promise.race([work, ended]);
        }
        finally {
            this.#waiting.delete(destroyed);
            unlisten?.();
        }
    }
    /** Whether slabs went back to the device since that many bytes of them had, by now or by whomever. */
    async #gaveBack({ requestedBytes, availableBytes }, before) {
        const missingBytes = Math.max(0, requestedBytes - availableBytes);
        await this.#giveBack(() => this.#native.trimSpare(missingBytes));
        return this.#native.givenBackBytes() > before;
    }
    /** Why there is no slab, as the refusal of a buffer: the holes of the pool would have served, too. */
    #refusal(noSlab, sizeBytes, label = '') {
        const { message, availableBytes, bindingConstraint, suggestion } = noSlab;
        const holeBytes = this.stats().largestFreeBytes;
        const details = {
            label: label === '' ? this.label : label,
            requestedBytes: sizeBytes,
            availableBytes,
            largestFreeBytes: Math.max(holeBytes, noSlab.largestFreeBytes),
            bindingConstraint,
            suggestion,
        };
        const hole = holeBytes > 0 ? `. The largest hole in the pool is ${formatBytes$1(holeBytes)}` : '';
        return new InsufficientMemoryError('ERR_INSUFFICIENT_MEMORY', `${message}${hole}`, details);
    }
    /**
     * A buffer from what is held, or from a new slab; or why there is none. One slab at a time: that which one takes may do
     * for all who wait, but not where each buffer has one of its own.
     */
    async #takeOrGrow(sizeBytes, options) {
        const held = refusalOf(() => this.allocate(sizeBytes, options));
        if (!(held instanceof InsufficientMemoryError))
            return held;
        const { alignBytes = 256, placement, label = '' } = options;
        const transient = placement === 'transient';
        const take = () => this.#native.allocateOrGrow(sizeBytes, alignBytes, transient, label === '' ? undefined : label);
        try {
            const key = await this.#run(() => (this.#settings.dedicated ? take() : this.#afterOthers(take)));
            const buffer = this.#bufferOf(key, sizeBytes, label);
            if (!this.#end.destroyed)
                return buffer;
            buffer.release();
            throw released('the memory pool');
        }
        catch (error) {
            if (error instanceof InsufficientMemoryError)
                return error;
            throw error;
        }
    }
    /** Runs what takes a slab once everybody before has taken theirs. */
    #afterOthers(take) {
        const taken = this.#growing.then(take);
        this.#growing = taken.catch(() => { });
        return taken;
    }
    /** Whether anybody has given memory back. */
    async #relieved(missingBytes, signal) {
        const isWanted = () => !abortion(signal) && !this.#end.destroyed;
        for (const relieve of [...this.#pressure]) {
            if (!isWanted())
                return false;
            if ((await relieve(missingBytes)) === true)
                return true;
        }
        return isWanted() && ((await this.#owner?.relieve(this, missingBytes)) ?? false);
    }
    /**
     * Registers what may give memory back when {@link allocateAsync} finds none. It is told how many bytes are missing, and
     * returns `true`, or a promise of it, when it has given some back: it is asked again until it has not. Returns what
     * forgets it again.
     */
    onPressure(relieve) {
        const registered = callback('relieve', relieve);
        this.#expectLive();
        this.#pressure.add(registered);
        return { [Symbol.dispose]: () => void this.#pressure.delete(registered) };
    }
    /**
     * Makes sure that one buffer of `bytes` could be handed out now, and takes a slab for it where none has room.
     *
     * @throws {@link InsufficientMemoryError} when the pool's maximum, the budget or the machine has not that much.
     * @throws {@link DeviceError} as the device says.
     * @throws {@link ReleasedError} after {@link destroy}.
     */
    async reserve(bytes) {
        const sizeBytes = sizeOf('bytes', bytes);
        const take = () => this.#native.reserve(sizeBytes, 256);
        return this.#run(() => (this.#settings.dedicated ? take() : this.#afterOthers(take)));
    }
    /**
     * Gives slabs without buffers back until at most `keepBytes` (0 by default) are held; resolves to the bytes given back.
     * By then what was released before is back, too.
     */
    async trim(keepBytes = 0) {
        const keep = bytes('keepBytes', keepBytes);
        const bytes$1 = await this.#giveBack(() => this.#native.trim(keep));
        await this.#collecting;
        return bytes$1;
    }
    /**
     * Moves buffers together, one after the other, so that whole slabs become empty and go back. Buffers in use, mapped,
     * pinned or exported stay; content survives.
     *
     * @throws {@link DeviceError} when a copy failed: that buffer stays as it was, and those before it stay moved.
     * @throws {@link ReleasedError} after {@link destroy}.
     */
    async defragment(options$1) {
        return this.#queue(options(options$1, defragmentChecks), () => false);
    }
    /** One pass at a time. It ends before its bounds are met when it has done `enough`. */
    #queue(options, enough) {
        const pass = this.#defragmenting.then(() => this.#pass(options, enough));
        this.#defragmenting = pass.catch(() => { });
        return pass;
    }
    async #pass({ dryRun = false, veto, onMoved, signal, maxBytes, maxMoves, maxMs }, enough) {
        if (dryRun)
            return this.#run(() => this.#native.defragmentDry(maxBytes, maxMoves, maxMs));
        const report = {
            movedCount: 0,
            movedBytes: 0,
            vetoedCount: 0,
            emptiedBytes: 0,
            largestFreeBytesBefore: this.stats().largestFreeBytes,
            largestFreeBytesAfter: 0,
            complete: false,
        };
        const began = performance.now();
        const leftMs = () => maxMs && Math.max(0, maxMs - (performance.now() - began));
        const bounded = [maxBytes, maxMoves, maxMs].some((bound) => bound !== undefined);
        const pass = (bounded && this.#resumed(veto)) || this.#native.beginPass();
        this.#dropPass();
        let tried = false;
        let failed = true;
        let rejected;
        const within = () => !rejected &&
            !abortion(signal) &&
            report.movedCount < (maxMoves ?? Number.POSITIVE_INFINITY) &&
            report.movedBytes < (maxBytes ?? Number.POSITIVE_INFINITY) &&
            // A bound of any time lets one move be tried, or a slow machine would never get on.
            (tried ? performance.now() - began < (maxMs ?? Number.POSITIVE_INFINITY) : maxMs !== 0) &&
            !enough();
        try {
            while (within()) {
                const planned = await this.#run(() => pass.nextMove(leftMs()));
                if (!planned) {
                    report.complete = pass.complete;
                    break;
                }
                tried = true;
                if (!this.#native.holds(planned.key)) {
                    // It was released before its turn came.
                    this.#native.forgoMove(planned);
                    continue;
                }
                const movable = this.#movable(planned);
                if (this.#vetoes(veto, movable, planned)) {
                    report.vetoedCount += 1;
                    continue;
                }
                const emptiedBytes = await this.#run(() => this.#native.makeMove(planned));
                // The veto may have released or pinned it.
                if (typeof emptiedBytes !== 'number')
                    continue;
                report.emptiedBytes += emptiedBytes;
                report.movedCount += 1;
                report.movedBytes += planned.bytes;
                // One that is asynchronous is not waited for, but what it rejects with ends the pass, too.
                absorb(onMoved?.(movable), (reason) => {
                    rejected = { reason };
                });
            }
            if (rejected)
                throw rejected.reason;
            failed = false;
        }
        finally {
            if (failed || report.complete || this.#end.destroyed)
                pass.end();
            else
                this.#keepPass(pass, veto);
            this.#collect();
        }
        report.largestFreeBytesAfter = this.stats().largestFreeBytes;
        return report;
    }
    /** The pass to go on with. Another veto is asked about what the last one kept where it was. */
    #resumed(veto) {
        const unfinished = this.#unfinished;
        if (!unfinished)
            return undefined;
        clearTimeout(unfinished.timer);
        this.#unfinished = undefined;
        unfinished.pass.resume(!veto || veto !== unfinished.veto);
        return unfinished.pass;
    }
    #keepPass(pass, veto) {
        const timer = setTimeout(() => this.#dropPass(), PASS_KEPT_MS).unref();
        this.#unfinished = { pass, veto, timer };
    }
    #dropPass() {
        clearTimeout(this.#unfinished?.timer);
        this.#unfinished?.pass.end();
        this.#unfinished = undefined;
    }
    #movable({ key, bytes }) {
        return { label: this.#labels.get(key) ?? '', sizeBytes: bytes, id: key };
    }
    /** Whether the move is not wanted; a veto that throws leaves no place taken. */
    #vetoes(veto, movable, planned) {
        let vetoed = true;
        try {
            const answer = veto?.(movable);
            if (typeof answer?.then === 'function') {
                absorb(answer);
                throw invalidArgument('veto', 'a function that says at once whether the buffer stays', 'one that returns a promise');
            }
            vetoed = answer === true;
        }
        finally {
            if (vetoed)
                this.#native.forgoMove(planned);
        }
        return vetoed;
    }
    /** What it holds and has done. */
    stats() {
        return this.#native.stats();
    }
    /**
     * The same in depth: every slab with its blocks, and the counts under the names of PyTorch's `memory_stats`.
     *
     * It walks over everything; {@link stats} is kept up to date as it goes.
     */
    detailedStats() {
        const counters = Object.fromEntries(this.#native.counters().map(({ name, value }) => [name, value]));
        return { ...this.stats(), slabs: this.#native.slabs(), counters };
    }
    /** What it is at this moment, down to every block, as plain data: `JSON.stringify` it to keep it. */
    snapshot() {
        const { device, label } = this;
        const [stats, slabs] = [this.stats(), this.#native.slabs()];
        return { plimsollSnapshot: 1, device: device.name, label, timeMs: Date.now(), stats, slabs };
    }
    /** A picture of its slabs and their blocks, as a page that needs nothing but a browser. See {@link poolsPage}. */
    toHtml() {
        return poolsPage([this.snapshot()]);
    }
    /** Begins a scope: what is allocated and freed counts apart until {@link popScope}. Scopes nest. */
    pushScope() {
        this.#expectLive();
        this.#native.pushScope();
    }
    /** Ends the innermost scope and says what was allocated and freed within; `undefined` when there is none. */
    popScope() {
        return this.#native.popScope() ?? undefined;
    }
    /**
     * Records what happens from now on, for {@link stopTrace}: at most `capacity` events, a million by default. A trace that
     * runs is begun anew. Of more than about five million events the text has the first ones alone: see
     * {@link PoolTrace.text}.
     */
    startTrace(capacity = 1_000_000) {
        const most = integer('capacity', capacity, 1, 100_000_000);
        this.#expectLive();
        this.#native.startTrace(most);
    }
    /** Ends the recording; `plimsoll replay` runs its text again on any device. Empty when there was none. */
    stopTrace() {
        return traceOf(this.#native.stopTrace(), this, this.#settings);
    }
    /** Whether it was destroyed. */
    get destroyed() {
        return this.#end.destroyed;
    }
    /**
     * Gives every slab back. Buffers that are left are stale: every use of them is a {@link ReleasedError}. What is mapped,
     * or being copied, stays until that ends. Idempotent.
     */
    destroy() {
        this.#gone ??= this.#destroy();
        return this.#gone;
    }
    async #destroy() {
        this.#end.destroyed = true;
        clearTimeout(this.#idle);
        this.#dropPass();
        this.#labels.clear();
        this.#pressure.clear();
        for (const end of this.#waiting)
            end();
        const { heldBytes } = this.stats();
        try {
            await this.#giveBack(() => this.#native.destroy().then(() => heldBytes));
            // What was on its way back before.
            await this.#collecting;
        }
        finally {
            this.#owner?.destroyed(this);
        }
    }
    /** The same as {@link destroy}, for `await using`. */
    async [Symbol.asyncDispose]() {
        await this.destroy();
    }
    #afterFree(key, retired) {
        this.#labels.delete(key);
        if (retired)
            this.#collect();
        if (this.#auto)
            this.#whenIdle(this.#auto);
    }
    /** Gives empty slabs back, without anybody waiting for the device. */
    #collect() {
        this.#collectAgain = true;
        this.#collecting ??= this.#collectAll();
        // Told to whoever waits for it.
        this.#collecting.catch(() => { });
    }
    async #collectAll() {
        // What becomes empty while a device takes its time is given back in a further round.
        try {
            while (this.#collectAgain) {
                this.#collectAgain = false;
                await this.#giveBack(() => this.#native.collect());
            }
        }
        finally {
            this.#collecting = undefined;
        }
    }
    /** Gives slabs back by a call that resolves to their bytes; meanwhile {@link #returned} waits for them. */
    async #giveBack(start) {
        const returning = this.#run(start);
        this.#returning.add(returning);
        try {
            return await returning;
        }
        finally {
            this.#returning.delete(returning);
        }
    }
    /** Waits for what is on its way back by now; resolves to its bytes, whoever began it. */
    async #returned() {
        return (await Promise.all(this.#returning)).reduce((sum, bytes) => sum + bytes, 0);
    }
    #whenIdle({ abovePercent, maxMs }) {
        clearTimeout(this.#idle);
        const taken = this.#taken;
        this.#idle = setTimeout(() => {
            if (this.#taken !== taken)
                return this.#whenIdle({ abovePercent, maxMs });
            if (this.#end.destroyed || this.stats().fragmentationPercent <= abovePercent)
                return;
            const goOn = ({ complete }) => {
                if (!complete && maxMs > 0)
                    this.#whenIdle({ abovePercent, maxMs });
            };
            // What a device refuses here it refuses again when somebody asks.
            this.defragment({ maxMs }).then(goOn, () => { });
        }, IDLE_MS).unref();
    }
    #expectLive() {
        if (this.#end.destroyed)
            throw released('the memory pool');
    }
    async #run(start) {
        try {
            return await start();
        }
        catch (error) {
            throw fromNative(error);
        }
    }
}
const settingNames = ['slabBytes', 'initialBytes', 'maxBytes', 'maxCachedBytes', 'pageBytes', 'dedicated'];
/** The settings among the options that were given. */
const settingsOf = (options) => own$2(Object.fromEntries(settingNames.filter((name) => options[name] !== undefined).map((name) => [name, options[name]])));
function throwAborted(signal) {
    const aborted = abortion(signal);
    if (aborted)
        throw new AbortError(aborted.reason);
}
/** What a call gave, or the refusal that it threw. */
function refusalOf(allocate) {
    try {
        return allocate();
    }
    catch (error) {
        if (error instanceof InsufficientMemoryError)
            return error;
        throw error;
    }
}
/** Checks a pool that was passed. */
function realPool(name, value) {
    if (isPool(value))
        return value;
    throw invalidArgument(name, 'a MemoryPool', quoted(value));
}

/**
 * Has V8 collect its garbage, as far as it lets itself be told: the function is only there behind a flag, which V8 does
 * not promise to honour after the start.
 */
function collectGarbage() {
    const collect = globalThis.gc ?? exposed();
    collect?.();
}
function exposed() {
    // Asked for when they are needed: a program that never is critical does not wait for them at its start.
    const { setFlagsFromString } = require('node:v8');
    const { runInNewContext } = require('node:vm');
    setFlagsFromString('--expose-gc');
    return runInNewContext('globalThis.gc');
}

/** Samples that wait for a slow iteration at most; older ones are dropped, since the newest tells the state. */
const MAX_WAITING = 16;
/**
 * Iterations that wait for a sample. Somebody waits for what a monitor has to tell, so it stays, with what it watches,
 * though nothing else may refer to it.
 */
const waitedFor = new Set();
const done = { done: true, value: undefined };
/** An iteration over the samples to come. What it is asked for settles as soon as it, or its monitor, ends. */
class Samples {
    #source;
    #stop;
    #ended = false;
    #samples = [];
    #asked = [];
    constructor(source) {
        this.#source = source;
    }
    async next() {
        // Begun when it is first asked, as any generator.
        if (this.#source && !this.#ended)
            this.#begin(this.#source);
        const value = this.#samples.shift();
        if (value)
            return { done: false, value };
        if (this.#ended)
            return done;
        return new Promise((resolve) => {
            this.#asked.push(resolve);
            waitedFor.add(this);
        });
    }
    #begin({ begin }) {
        this.#source = undefined;
        try {
            this.#stop = begin((sample) => this.#take(sample), () => this.#end());
        }
        catch (error) {
            this.#ended = true;
            throw error;
        }
    }
    async return() {
        this.#end();
        this.#samples.length = 0;
        return done;
    }
    async throw(error) {
        await this.return();
        throw error;
    }
    [Symbol.asyncIterator]() {
        return this;
    }
    async [Symbol.asyncDispose]() {
        await this.return();
    }
    #take(sample) {
        const next = this.#asked.shift();
        if (this.#asked.length === 0)
            waitedFor.delete(this);
        if (next)
            next({ done: false, value: sample });
        else
            this.#samples.push(sample);
        if (this.#samples.length > MAX_WAITING)
            this.#samples.shift();
    }
    #end() {
        this.#ended = true;
        this.#stop?.();
        this.#stop = undefined;
        waitedFor.delete(this);
        for (const next of this.#asked.splice(0))
            next(done);
    }
}

/** Memory that was given back shows in a sample or two; a round before that would only take time from the program. */
const LEAST_BETWEEN_ROUNDS_MS = 1000;
/** A relief that takes longer is left behind, so that one that never settles does not end all relief. */
const LONGEST_MS = 10_000;
/** What may give memory back, in order. One round runs at a time. */
class Reliefs {
    /** What runs before the registered ones. */
    first;
    #registered = new Set();
    #surroundings;
    #running = false;
    #endedAt = Number.NEGATIVE_INFINITY;
    constructor(surroundings) {
        this.#surroundings = surroundings;
    }
    add(label, run) {
        const registered = { label, run };
        this.#registered.add(registered);
        return { [Symbol.dispose]: () => void this.#registered.delete(registered) };
    }
    clear() {
        this.#registered.clear();
        this.first = undefined;
    }
    /** Runs them until they are no longer needed, unless a round runs or has just ended. */
    run(sample) {
        if (this.#running || performance.now() - this.#endedAt < LEAST_BETWEEN_ROUNDS_MS)
            return;
        this.#running = true;
        this.#round(sample).finally(() => {
            this.#running = false;
            this.#endedAt = performance.now();
        });
    }
    async #round(sample) {
        const { needed, settled, told } = this.#surroundings;
        for (const relief of [...(this.first ? [this.first] : []), ...this.#registered]) {
            if (!needed())
                return;
            told(await outcome(relief, sample));
            await settled();
        }
    }
}
/** Runs a relief to its end, or as long as it may take. */
async function outcome({ label, run }, sample) {
    const start = performance.now();
    let timer;
    const late = new Promise((_, reject) => {
        const error = new Error(`expected the relief "${label}" to end within ${LONGEST_MS / 1000} s, but it still runs`);
        timer = setTimeout(() => reject(error), LONGEST_MS).unref();
    });
    try {
        await Promise.race([run(sample), late]);
        return { label, durationMs: performance.now() - start };
    }
    catch (error) {
        return { label, durationMs: performance.now() - start, error };
    }
    finally {
        clearTimeout(timer);
    }
}

/** A program has a handful of stages; one that marks every request must not fill the memory that it watches. */
const MOST_STAGES = 1000;
/** The stages of one budget's life. */
class Stages {
    #budget;
    #stages = [];
    constructor(budget) {
        this.#budget = budget;
    }
    mark(label) {
        const before = this.#stages.at(-1);
        const { rssBytes } = processMemory();
        const { availableBytes } = machineMemory();
        const { allocatedBytes } = this.#budget;
        const stage = {
            label,
            timeMs: Date.now(),
            rssBytes,
            availableBytes,
            allocatedBytes,
            components: componentsOf(this.#budget, before),
            added: {
                rssBytes: rssBytes - (before?.rssBytes ?? rssBytes),
                usedBytes: (before?.availableBytes ?? availableBytes) - availableBytes,
                allocatedBytes: allocatedBytes - (before?.allocatedBytes ?? allocatedBytes),
            },
        };
        this.#stages.push(stage);
        if (this.#stages.length > MOST_STAGES)
            this.#stages.shift();
        return stage;
    }
    list() {
        return [...this.#stages];
    }
}
/** What is allocated under each label, and labels that were allocated before and are no longer. */
function componentsOf(budget, before) {
    const bytesOf = new Map((before?.components ?? []).filter(({ bytes }) => bytes > 0).map(({ label }) => [label, 0]));
    for (const { label, sizeBytes } of budget.allocations())
        bytesOf.set(label, (bytesOf.get(label) ?? 0) + sizeBytes);
    const wasBytes = new Map(before?.components.map(({ label, bytes }) => [label, bytes]));
    const added = (label, bytes) => (before ? bytes - (wasBytes.get(label) ?? 0) : 0);
    return [...bytesOf]
        .map(([label, bytes]) => ({ label, bytes, addedBytes: added(label, bytes) }))
        .sort((a, b) => b.bytes - a.bytes);
}

const events = [
    'normal',
    'warning',
    'critical',
    'pressure',
    'kill',
    'sample',
    'relief',
    'unavailable',
];
/** How long a round of reliefs waits at most to see what one of them came to. */
const LONGEST_WAIT_MS = 250;
const share = (name, value) => number(name, value, 0, 100);
const limitChecks = { warnPercent: share, criticalPercent: share, hysteresisPercent: share };
const optionChecks = {
    ...limitChecks,
    floorBytes: (name, value) => bytes(name, value),
    refuseAtCritical: boolean,
    collectGarbage: boolean,
    intervalMs: (name, value) => number(name, value, 10, 3_600_000),
    historyCount: (name, value) => integer(name, value, 0, 100_000),
};
/**
 * The monitors that watch, by their budgets: whoever uses a budget relies on what watches over it, also where nothing
 * else refers to the monitor.
 */
const watching = new WeakMap();
/** The net: says that a monitor to whose events somebody listens is no more. */
const net = new FinalizationRegistry(({ running, listenerCount }) => {
    if (!running || listenerCount === 0)
        return;
    const message = `A memory monitor with ${listenerCount} listeners was collected while it watched, and they hear no more. ` +
        'Keep it, its budget or its manager as long as it is to watch, or stop() it.';
    process.emitWarning(leakWarning(message, 'memory monitor', 0));
});
/**
 * Watches the memory under a budget, and tells of trouble before the kernel acts. It is off until {@link start}.
 *
 * It watches until it is stopped, or nothing refers to it, its budget or its manager any longer and no iteration waits for
 * it. One thread samples for every monitor of the process, and none of them keeps the process alive. Levels are drawn by
 * what is really used: of the machine, of each cgroup over the process, and of the line by this process. What is merely
 * granted raises none; a well-packed budget is full and well.
 *
 * @example
 * manager.monitor.start()
 * manager.monitor.on('warning', ({ usedPercent, constraint }) => log.warn(`${usedPercent.toFixed(0)} %: ${constraint}`))
 * manager.monitor.on('critical', () => cache.clear())
 */
class MemoryMonitor {
    #budget;
    #emitter = new node_events.EventEmitter();
    #stages;
    #reliefs;
    #limits = {};
    #native;
    /** What tells this start from earlier ones. */
    #run;
    /** The level last told; none after what was told is that it is not known. */
    #told = 'normal';
    #closed = false;
    /** What ends the iterations that have begun. */
    #endings = new Set();
    #state = { running: false, listenerCount: 0 };
    /** @throws {@link InvalidArgumentError} when `budget` is none. */
    constructor(budget, limits) {
        this.#budget = budget;
        if (nativeBudget(budget) === undefined)
            throw invalidArgument('budget', 'a MemoryBudget', quoted(budget));
        this.#limits = options(limits, limitChecks);
        this.#stages = new Stages(budget);
        // Samples wake the event loop only while somebody listens to them.
        this.#emitter.on('newListener', (event) => {
            if (event === 'sample')
                this.#native?.hearAll(true);
            this.#state.listenerCount += 1;
        });
        this.#emitter.on('removeListener', (event) => {
            if (event === 'sample')
                this.#native?.hearAll(this.#emitter.listenerCount('sample') > 0);
            this.#state.listenerCount -= 1;
        });
        this.#state.listenerCount = 0;
        net.register(this, this.#state);
        this.#reliefs = new Reliefs({
            needed: () => this.level === 'critical',
            settled: () => this.#sampleFromNow(),
            // Apart from the round, which what a listener throws must not end.
            told: (relief) => queueMicrotask(() => this.#emitter.emit('relief', relief)),
        });
    }
    /**
     * Begins to watch; while it already does, nothing is changed. Options that are left out take the limits of the
     * monitor and their defaults. Returns the monitor.
     *
     * @throws {@link InvalidArgumentError} for an unknown or unfit option.
     * @throws {@link ReleasedError} after {@link close}.
     */
    start(options$1) {
        const checked = options(options$1, optionChecks);
        if (this.#closed)
            throw released('the memory monitor');
        if (this.#native)
            return this;
        const { collectGarbage: collects = false, refuseAtCritical = true, ...rest } = checked;
        const hearsAll = this.#emitter.listenerCount('sample') > 0;
        const started = own$2({ ...this.#limits, ...rest, refuseAtCritical, hearsAll });
        const run = {};
        const observe = MemoryMonitor.#observer(new WeakRef(this), run);
        // Made from a budget, so it has a native half.
        const budget = nativeBudget(this.#budget);
        this.#native = call(() => NativeMonitor.start(budget, started, observe));
        this.#run = run;
        this.#state.running = true;
        watching.set(this.#budget, (watching.get(this.#budget) ?? new Set()).add(this));
        this.#limits = limitsOf(started);
        this.#reliefs.first = collects ? { label: 'garbage collection', run: collectGarbage } : undefined;
        return this;
    }
    /** What takes the thread's notices. The thread holds on to it, so it must not hold on to the monitor. */
    static #observer(self, run) {
        return (notice) => {
            const monitor = self.deref();
            // A notice that was on its way while the monitor stopped comes too late, also when it has started again.
            if (monitor && monitor.#run === run)
                monitor.#take(notice);
        };
    }
    /** Stops watching, until {@link start} is called again: iterations end, and the budget grants again. Idempotent. */
    stop() {
        this.#native?.close();
        this.#native = undefined;
        this.#run = undefined;
        this.#told = 'normal';
        this.#state.running = false;
        watching.get(this.#budget)?.delete(this);
        for (const end of [...this.#endings])
            end();
    }
    /** Stops watching for good: listeners and reliefs are forgotten, too. Idempotent. */
    close() {
        this.stop();
        this.#closed = true;
        this.#emitter.removeAllListeners();
        this.#reliefs.clear();
    }
    /** The same as {@link close}, for `using`. */
    [Symbol.dispose]() {
        this.close();
    }
    /** Whether it watches. */
    get running() {
        return this.#native !== undefined;
    }
    /** The level of the last sample; `'normal'` before the first, `'critical'` while the memory or a limit cannot be read. */
    get level() {
        return this.#native?.level ?? 'normal';
    }
    /** The last sample, if one was taken. */
    get sample() {
        return this.#native?.latest() ?? undefined;
    }
    /** Where the levels begin, for as much as was set; see {@link MemoryLimits} for the defaults. */
    get limits() {
        return { ...this.#limits };
    }
    /** Sets where the levels begin, also while it watches. What is left out takes its default. */
    set limits(limits) {
        const checked = options(limits, limitChecks);
        const { warnPercent = 80, criticalPercent = 95 } = checked;
        if (warnPercent > criticalPercent) {
            throw invalidArgument('warnPercent', `at most criticalPercent, which is ${criticalPercent}`, warnPercent);
        }
        call(() => this.#native?.setLimits(own$2({ ...checked, refuseAtCritical: true, hearsAll: false })));
        this.#limits = checked;
    }
    /** The samples since the start, oldest first, as many as `historyCount` keeps. */
    history() {
        return this.#native?.history() ?? [];
    }
    /** Calls `listener` for every event of that name. What a listener throws is thrown as of any event emitter. */
    on(event, listener) {
        this.#emitter.on(oneOf$1('event', event, events), callback('listener', listener));
        return this;
    }
    /** Calls `listener` for the next event of that name only. */
    once(event, listener) {
        this.#emitter.once(oneOf$1('event', event, events), callback('listener', listener));
        return this;
    }
    /** Forgets a listener. */
    off(event, listener) {
        this.#emitter.off(oneOf$1('event', event, events), callback('listener', listener));
        return this;
    }
    /**
     * Registers what may give memory back while the level is critical. Reliefs run in the order of their registration, one
     * at a time, each awaited, until the level is no longer critical; at most one round a second. Each run is told by the event
     * `relief`. Returns what forgets it again.
     *
     * @param label - what the event calls it
     * @param run - gives memory back; may return a promise
     */
    relieve(label, run) {
        return this.#reliefs.add(string('label', label), callback('run', run));
    }
    /**
     * Notes the memory at a stage of the program, watching or not: what the process and the machine have in use, and what
     * is allocated under which label. Returns the stage, with what was added since the one before.
     *
     * @param label - what the stage is called: `'after model load'`
     */
    mark(label) {
        return this.#stages.mark(string('label', label));
    }
    /** The stages that were marked, oldest first; the last thousand. */
    stages() {
        return this.#stages.list();
    }
    /**
     * The samples from now on. An iteration that is slower than they come gets the newest 16; it ends with {@link stop} and
     * {@link close}. It starts the monitor if it does not watch yet, and does not keep the process alive. A monitor whose next
     * sample is waited for goes on though nothing else refers to it.
     */
    [Symbol.asyncIterator]() {
        return new Samples({
            begin: (take, end) => {
                this.start();
                this.#emitter.on('sample', take);
                this.#endings.add(end);
                return () => {
                    this.#endings.delete(end);
                    this.#emitter.off('sample', take);
                };
            },
        });
    }
    #take({ sample, stalled, killCount, unavailable }) {
        if (unavailable !== undefined) {
            this.#told = undefined;
            this.#tell([['unavailable', unavailable]]);
        }
        if (!sample)
            return;
        if (sample.level === 'critical')
            queueMicrotask(() => this.#relieve(sample));
        const before = this.#told;
        this.#told = sample.level;
        this.#tell([
            ...(sample.level === before ? [] : [[sample.level, sample]]),
            ...(killCount > 0 ? [['kill', sample, killCount]] : []),
            ...(stalled ? [['pressure', sample]] : []),
            ['sample', sample],
        ]);
    }
    /**
     * Emits one event after the other. What a listener throws is uncaught as of any event emitter, but keeps nobody from
     * the rest; a listener that stops the monitor does.
     */
    #tell(events) {
        const run = this.#run;
        for (const [event, ...args] of events) {
            if (this.#run !== run)
                return;
            try {
                this.#emitter.emit(event, ...args);
            }
            catch (error) {
                queueMicrotask(() => {
                    throw error;
                });
            }
        }
    }
    #relieve(sample) {
        if (this.#native)
            this.#reliefs.run(sample);
    }
    /** Settles with the next sample that is taken from now on, or after a while without one. */
    #sampleFromNow() {
        const now = Date.now();
        return new Promise((resolve) => {
            const end = () => {
                clearTimeout(timer);
                this.#emitter.off('sample', take);
                resolve();
            };
            const take = ({ timeMs }) => {
                if (timeMs >= now)
                    end();
            };
            const timer = setTimeout(end, LONGEST_WAIT_MS).unref();
            this.#emitter.on('sample', take);
        });
    }
}
function limitsOf({ warnPercent, criticalPercent, hysteresisPercent }) {
    return {
        ...(warnPercent !== undefined && { warnPercent }),
        ...(criticalPercent !== undefined && { criticalPercent }),
        ...(hysteresisPercent !== undefined && { hysteresisPercent }),
    };
}

/** The pools of a manager: they count against its budget, give back what they hold idle at critical, and end with it. */
class MemoryPools {
    #surroundings;
    #pools = new Map();
    #closed = false;
    /** @internal */
    constructor(mark, surroundings) {
        expectInternal(mark, 'MemoryPools', 'new MemoryManager()');
        this.#surroundings = surroundings;
    }
    /**
     * Makes a pool on the manager's account; see {@link MemoryPool.create}. Its device is that of the manager unless it
     * names one. Before {@link MemoryPool.allocateAsync} refuses, it waits for what buffers of the families and the manager's
     * other pools have on its way back, and those pools give back the slabs that they keep for what comes next, but neither
     * their `initialBytes` nor what was reserved.
     *
     * @throws {@link ReleasedError} after the manager was closed.
     */
    async create(options$1) {
        const checked = options(options$1, poolChecks);
        if (this.#closed)
            throw released('the memory manager');
        const { budget, device, shared } = this.#surroundings;
        const pool = await shared.makePool(own$2({ device, budget, ...checked }), (gone) => this.#forget(gone));
        this.#pools.set(pool, this.#surroundings.relieve(`pool "${pool.label}"`, () => pool.trim()));
        if (!this.#closed)
            return pool;
        // It was made while the manager was closed, and goes with it.
        await pool.destroy();
        throw released('the memory manager');
    }
    #forget(pool) {
        this.#pools.get(pool)?.[Symbol.dispose]();
        this.#pools.delete(pool);
    }
    /** Pools that were not destroyed. */
    get size() {
        return this.#pools.size;
    }
    /** The pools that were not destroyed, oldest first. */
    [Symbol.iterator]() {
        return [...this.#pools.keys()][Symbol.iterator]();
    }
    /** A picture of all of them, as a page that needs nothing but a browser. See {@link poolsPage}. */
    toHtml() {
        return poolsPage([...this].map((pool) => pool.snapshot()));
    }
    /** @internal Destroys every pool, and makes no more. */
    async close() {
        this.#closed = true;
        await allSettled([...this.#pools.keys()].map((pool) => pool.destroy()));
    }
}

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
        yield textOf(value, indent).replaceAll('\n', newline);
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
                yield (count++ > 0 ? ',' : '') + inner + textOf(element, indent).replaceAll('\n', inner);
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
const textOf = (value, indent) => JSON.stringify(value, null, indent) ?? 'null';

const own = ":root {\n  --fill: #2f6feb22;\n  --saturation: 62%;\n  --lightness: 78%;\n  --box-ink: #1c2330;\n  --rest: repeating-linear-gradient(135deg, #d5d9e0 0 5px, #e6e9ee 5px 10px);\n}\n\n@media (prefers-color-scheme: dark) {\n  :root {\n    --fill: #6ea1ff2b;\n    --saturation: 38%;\n    --lightness: 36%;\n    --box-ink: #f4f6f9;\n    --rest: repeating-linear-gradient(135deg, #2b323c 0 5px, #343c47 5px 10px);\n  }\n}\n\nbutton {\n  border: 0;\n  background: none;\n  color: inherit;\n  font: inherit;\n  cursor: pointer;\n}\n\n.choice {\n  display: flex;\n  padding: 3px;\n  border-radius: 8px;\n  background: var(--page);\n}\n\n.option {\n  padding: 4px 14px;\n  border-radius: 6px;\n}\n\n.option[aria-checked=\"true\"] {\n  background: var(--card);\n  box-shadow: var(--shadow);\n  color: var(--accent);\n  font-weight: 600;\n}\n\n:focus-visible {\n  outline: 2px solid var(--accent);\n  outline-offset: 1px;\n}\n\ninput {\n  width: 240px;\n  padding: 6px 10px;\n  border: 1px solid var(--line);\n  border-radius: 8px;\n  background: var(--page);\n  color: inherit;\n  font: inherit;\n}\n\n#chart {\n  height: 132px;\n  margin-top: 12px;\n}\n\nsvg {\n  display: block;\n  width: 100%;\n  height: 100%;\n}\n\n.area {\n  fill: var(--fill);\n}\n\n.edge {\n  fill: none;\n  stroke: var(--accent);\n  stroke-width: 1.5;\n  vector-effect: non-scaling-stroke;\n}\n\nnav {\n  min-height: 30px;\n  padding-top: 8px;\n  overflow-wrap: anywhere;\n}\n\n.step {\n  padding: 0 2px;\n  color: var(--accent);\n}\n\n#flame {\n  position: relative;\n  overflow: hidden;\n}\n\n.box {\n  position: absolute;\n  height: 25px;\n  padding: 0 7px;\n  overflow: hidden;\n  border: 1px solid var(--card);\n  border-radius: 4px;\n  background: hsl(var(--hue) var(--saturation) calc(var(--lightness) + var(--shade)));\n  color: var(--box-ink);\n  font-size: 12.5px;\n  line-height: 23px;\n  text-align: left;\n  text-overflow: ellipsis;\n  white-space: nowrap;\n}\n\n.box:hover {\n  filter: brightness(1.07) saturate(1.3);\n}\n\n.box.root {\n  --saturation: 8%;\n}\n\n.box.narrow {\n  padding: 0 3px;\n  text-align: center;\n}\n\n.box.rest {\n  background: var(--rest);\n  cursor: default;\n}\n\n.box span {\n  opacity: 0.7;\n}\n\n#note {\n  margin-top: 10px;\n}\n\n#tip {\n  position: fixed;\n  z-index: 1;\n  max-width: 460px;\n  padding: 10px 12px;\n  border: 1px solid var(--line);\n  border-radius: 8px;\n  background: var(--card);\n  box-shadow: 0 8px 24px #0003;\n  font-size: 13px;\n  pointer-events: none;\n  overflow-wrap: anywhere;\n}\n\n.tip-table {\n  margin-top: 6px;\n}\n\n.tip-cell {\n  padding: 1px 16px 1px 0;\n  border: 0;\n}\n\n.order {\n  padding: 0;\n}\n\n.order[aria-pressed=\"true\"] {\n  color: var(--ink);\n  font-weight: 600;\n}\n\ndetails {\n  border-bottom: 1px solid var(--line);\n}\n\ndetails:last-of-type {\n  border-bottom: 0;\n}\n\nsummary {\n  display: flex;\n  gap: 12px;\n  align-items: baseline;\n  padding: 8px 0;\n  cursor: pointer;\n}\n\nsummary::before {\n  content: \"▸\";\n  color: var(--quiet);\n}\n\n[open] > summary::before {\n  content: \"▾\";\n}\n\n.without summary {\n  cursor: default;\n}\n\n.without summary::before {\n  visibility: hidden;\n}\n\nsummary bdi {\n  flex: 1;\n  overflow-wrap: anywhere;\n}\n\n.held {\n  font-variant-numeric: tabular-nums;\n  font-weight: 600;\n}\n\npre {\n  margin: 0 0 10px 20px;\n  color: var(--quiet);\n  font:\n    12.5px / 1.6 ui-monospace,\n    monospace;\n  white-space: pre-wrap;\n  overflow-wrap: anywhere;\n}\n\n@media (max-width: 640px) {\n  body {\n    padding: 16px 10px;\n  }\n\n  .optional {\n    display: none;\n  }\n}\n";

const template = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"{{policy}}\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>Memory profile</title>\n<style>{{style}}</style>\n</head>\n<body>\n<header>\n  <h1>Memory profile</h1>\n  <p id=\"about\"></p>\n</header>\n<main>\n  <section id=\"figures\" class=\"figures\" aria-label=\"Figures\"></section>\n  <section>\n    <div class=\"bar\">\n      <h2>Allocated over time</h2>\n      <span id=\"range\" class=\"quiet\"></span>\n    </div>\n    <div id=\"chart\"></div>\n  </section>\n  <section>\n    <div class=\"bar\">\n      <h2>By label</h2>\n      <div id=\"measures\" class=\"choice\" role=\"radiogroup\" aria-label=\"Sizes\"></div>\n    </div>\n    <nav id=\"trail\" aria-label=\"Zoom\"></nav>\n    <div id=\"flame\"></div>\n    <p id=\"note\" class=\"quiet\"></p>\n  </section>\n  <section>\n    <div class=\"bar\">\n      <h2>Labels</h2>\n      <input id=\"filter\" type=\"search\" placeholder=\"Filter\" aria-label=\"Filter labels\" spellcheck=\"false\">\n    </div>\n    <table id=\"labels\"></table>\n    <p id=\"more\" class=\"quiet\"></p>\n  </section>\n  <section>\n    <h2>Live allocations</h2>\n    <div id=\"places\"></div>\n  </section>\n</main>\n<div id=\"tip\" role=\"tooltip\" hidden></div>\n<noscript>The figures of this page are drawn by its script.</noscript>\n<script id=\"data\" type=\"application/json\">{{data}}</script>\n<script type=\"module\">{{script}}</script>\n</body>\n</html>\n";

const script = "// Draws the page of a memory profile from the data that is in it. Labels come from anywhere: they become text, never\n// markup.\n\n/** Rows of the flame graph are this high, in pixels. */\nconst ROW = 26\n\n/** Boxes narrower than this share of the whole are drawn as one. */\nconst NARROWEST = 0.003\n\n/** A character takes about so much, in pixels. */\nconst CHARACTER = 7.4\n\n/** More of a label's parts stay together as the last one. */\nconst MAX_DEPTH = 32\n\nconst MAX_ROWS = 200\n\nconst data = JSON.parse(byId('data').textContent)\n\n/** What sizes may stand for, with the place of each in a label's figures. */\nconst measures = [\n  { name: 'Live', place: 0, note: 'Bytes live when the profile was read.' },\n  {\n    name: 'Peak',\n    place: 1,\n    note: 'The most bytes live at once under each label; a box above others shows the sum of theirs, which need not have been at one time.',\n  },\n  { name: 'Granted', place: 2, note: 'Bytes granted in all, however soon they were given back.' },\n]\n\nconst labels = data.labels.map(([label, ...figures]) => ({ label, figures, hue: 0 }))\nconst root = treeOf(labels)\nlet measure = measures[data.allocatedBytes > 0 ? 0 : 1]\nlet zoom = root\nlet order = 2\n\nfunction byId(id) {\n  return document.getElementById(id)\n}\n\n/** An element with its class and what is in it: texts and elements. */\nfunction element(name, className, ...children) {\n  const made = document.createElement(name)\n  if (className) made.className = className\n  made.append(...children)\n  return made\n}\n\nfunction button(className, onClick, ...children) {\n  const made = element('button', className, ...children)\n  made.type = 'button'\n  made.addEventListener('click', onClick)\n  return made\n}\n\nfunction bytes(count) {\n  const power = Math.min(Math.floor(Math.log2(Math.max(count, 1)) / 10), 5)\n  const value = count / 1024 ** power\n  return power === 0 ? `${count} B` : `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${' KMGTP'[power]}iB`\n}\n\nfunction time(ms) {\n  if (ms < 1000) return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`\n  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`\n  return ms < 7_200_000 ? `${(ms / 60_000).toFixed(0)} min` : `${(ms / 3_600_000).toFixed(1)} h`\n}\n\nconst number = (count) => count.toLocaleString('en-US')\nconst percent = (share) => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`\n\n/** A text as it can be shown: what acts instead of showing, by its code. */\nfunction visible(text) {\n  const shown = text.replace(/[\\p{Cc}\\p{Cf}\\p{Cs}\\p{Zl}\\p{Zp}]/gu, (character) => {\n    return `\\\\u${character.codePointAt(0).toString(16).padStart(4, '0')}`\n  })\n  return shown === '' ? '(empty)' : shown\n}\n\nconst isolated = (text) => element('bdi', '', visible(text))\n\n/** The tree that the parts of the labels make; each node has the sums of what is below it. */\nfunction treeOf(leaves) {\n  const top = nodeOf('all', null, '')\n  for (const leaf of leaves) {\n    add(top, leaf)\n    let node = top\n    for (const part of partsOf(leaf.label)) {\n      let child = node.children.get(part)\n      if (!child) {\n        child = nodeOf(part, node, node === top ? part : `${node.path}/${part}`)\n        node.children.set(part, child)\n      }\n      node = child\n      add(node, leaf)\n    }\n  }\n  // Neighbours in size get hues far apart: by the golden angle.\n  const families = [...top.children.values()].sort((a, b) => b.figures[1] - a.figures[1])\n  families.forEach((family, i) => {\n    family.hue = (212 + i * 137.5) % 360\n  })\n  return top\n}\n\nfunction nodeOf(name, parent, path) {\n  return { name, parent, path, figures: [0, 0, 0, 0, 0, 0], children: new Map(), hue: undefined }\n}\n\nfunction add(node, { figures }) {\n  figures.forEach((figure, i) => {\n    node.figures[i] += figure\n  })\n}\n\nfunction partsOf(label) {\n  const parts = label.split('/').filter((part) => part !== '')\n  if (parts.length === 0) return [label]\n  return parts.length <= MAX_DEPTH ? parts : [...parts.slice(0, MAX_DEPTH - 1), parts.slice(MAX_DEPTH - 1).join('/')]\n}\n\nconst sizeOf = (node) => node.figures[measure.place]\n\nfunction hueOf(node) {\n  return node.hue ?? (node.parent ? hueOf(node.parent) : 220)\n}\n\nfunction drawAbout() {\n  const start = new Date(data.startTimeMs).toISOString().replace('T', ' ').slice(0, 19)\n  const dropped = data.droppedCount > 0 ? `, of which the oldest ${number(data.droppedCount)} are no longer kept` : ''\n  byId('about').textContent =\n    data.startTimeMs === 0\n      ? 'Nothing was recorded.'\n      : `Started ${start} UTC, ran ${time(data.durationMs)}, ${number(data.eventCount)} events${dropped}`\n}\n\nfunction drawFigures() {\n  const [, , granted, live, count, refused] = root.figures\n  const figures = [\n    ['live', bytes(data.allocatedBytes)],\n    ['peak', bytes(data.peakBytes)],\n    ['granted in all', bytes(granted)],\n    ['live allocations', `${number(live)} of ${number(count)}`],\n    ['refusals', number(refused)],\n  ]\n  const made = figures.map(([name, value]) =>\n    element('div', '', element('span', 'quiet', name), element('b', 'figure', value)),\n  )\n  byId('figures').append(...made)\n}\n\nfunction drawChart() {\n  byId('range').textContent = `${time(data.durationMs)}, at most ${bytes(data.peakBytes)}`\n  const [width, height] = [1000, 100]\n  const x = (ms) => ((Math.min(ms, data.durationMs) / (data.durationMs || 1)) * width).toFixed(2)\n  const y = (count) => (height - (count / (data.peakBytes || 1)) * (height - 2)).toFixed(2)\n  let path = ''\n  let last = data.steps[0]?.[1] ?? 0\n  for (const [from, highest, end] of data.steps) {\n    path += `${path ? 'L' : 'M'}${x(from)} ${y(last)}L${x(from)} ${y(highest)}L${x(from + data.stepMs)} ${y(end)}`\n    last = end\n  }\n  if (path) path += `L${width} ${y(last)}`\n  const first = data.steps[0]?.[0] ?? 0\n  const svg = shape('svg', { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', 'aria-hidden': true })\n  if (path) {\n    svg.append(shape('path', { class: 'area', d: `${path}V${height}H${x(first)}Z` }))\n    svg.append(shape('path', { class: 'edge', d: path }))\n  }\n  byId('chart').append(svg)\n}\n\nfunction shape(name, attributes) {\n  const made = document.createElementNS('http://www.w3.org/2000/svg', name)\n  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)\n  return made\n}\n\nfunction drawMeasures() {\n  const made = measures.map((each) => {\n    const choice = button('option', () => choose(each), each.name)\n    choice.setAttribute('role', 'radio')\n    choice.setAttribute('aria-checked', String(each === measure))\n    return choice\n  })\n  byId('measures').replaceChildren(...made)\n}\n\nfunction choose(chosen) {\n  measure = chosen\n  drawMeasures()\n  drawFlame()\n}\n\nfunction zoomTo(node) {\n  zoom = node\n  drawFlame()\n}\n\n/** The way from the root down to the node. */\nfunction lineage(node) {\n  const line = []\n  for (let each = node; each; each = each.parent) line.unshift(each)\n  return line\n}\n\nfunction drawFlame() {\n  hideTip()\n  const boxes = []\n  const above = lineage(zoom)\n  above.forEach((node, depth) => {\n    boxes.push(boxOf(node, 0, 1, depth))\n  })\n  const deepest = layOut(zoom, 0, 1, above.length, boxes)\n  byId('flame').style.height = `${Math.max(deepest, 1) * ROW}px`\n  byId('flame').replaceChildren(...boxes)\n  byId('note').textContent =\n    sizeOf(root) === 0\n      ? 'Nothing to show for this choice.'\n      : `${measure.note} Click a box to zoom in, Escape to zoom out.`\n  drawTrail(above)\n}\n\n/** Lays out what is below a node, largest first, and returns how many rows that takes in all. */\nfunction layOut(node, left, width, depth, boxes) {\n  const children = [...node.children.values()]\n    .filter((child) => sizeOf(child) > 0)\n    .sort((a, b) => sizeOf(b) - sizeOf(a))\n  let deepest = depth\n  let at = left\n  for (const [i, child] of children.entries()) {\n    const share = (sizeOf(child) / sizeOf(node)) * width\n    if (share < NARROWEST && i < children.length - 1) {\n      const rest = children.slice(i)\n      const sum = rest.reduce((total, each) => total + sizeOf(each), 0)\n      boxes.push(restOf(rest.length, sum, at, (sum / sizeOf(node)) * width, depth))\n      return Math.max(deepest, depth + 1)\n    }\n    boxes.push(boxOf(child, at, share, depth))\n    deepest = Math.max(deepest, depth + 1, layOut(child, at, share, depth + 1, boxes))\n    at += share\n  }\n  return deepest\n}\n\nfunction boxOf(node, left, width, depth) {\n  const text = visible(node.name)\n  const room = roomIn(width)\n  const name = room < Math.min(text.length, 4) ? [] : [text]\n  const size = room < text.length + 10 ? [] : [' ', element('span', '', bytes(sizeOf(node)))]\n  const target = node === zoom && node.parent ? node.parent : node\n  const box = button('box', () => zoomTo(target), ...name, ...size)\n  place(box, left, width, depth)\n  box.classList.toggle('narrow', size.length === 0)\n  box.classList.toggle('root', node === root)\n  box.style.setProperty('--hue', hueOf(node))\n  box.style.setProperty('--shade', `${node.hue === undefined ? (depth % 2 ? 5 : 2) : 0}%`)\n  box.setAttribute('aria-label', `${visible(node.path || node.name)}: ${bytes(sizeOf(node))}`)\n  const show = (event) => showTip(node, event)\n  box.addEventListener('pointermove', show)\n  box.addEventListener('focus', show)\n  box.addEventListener('pointerleave', hideTip)\n  box.addEventListener('blur', hideTip)\n  return box\n}\n\n/** How many characters fit in a box. */\nconst roomIn = (width) => (width * byId('flame').clientWidth - 8) / CHARACTER\n\nfunction restOf(count, sum, left, width, depth) {\n  const text = `${number(count)} smaller`\n  const box = element('div', 'box rest', roomIn(width) < text.length + 10 ? '' : `${text}: ${bytes(sum)}`)\n  place(box, left, width, depth)\n  box.title = `${text}: ${bytes(sum)}`\n  return box\n}\n\nfunction place(box, left, width, depth) {\n  box.style.left = `${left * 100}%`\n  box.style.width = `${width * 100}%`\n  box.style.top = `${depth * ROW}px`\n}\n\nfunction drawTrail(above) {\n  const trail = above.flatMap((node, i) => [\n    i > 1 ? ' / ' : ' ',\n    button('step', () => zoomTo(node), isolated(node.name)),\n  ])\n  byId('trail').replaceChildren(...(above.length > 1 ? trail : []))\n}\n\nfunction showTip(node, event) {\n  const [, , , live, count, refused] = node.figures\n  const share = sizeOf(root) > 0 ? ` (${percent(sizeOf(node) / sizeOf(root))})` : ''\n  const rows = measures.map((each) => {\n    const value = bytes(node.figures[each.place]) + (each === measure ? share : '')\n    return element('tr', '', element('td', 'tip-cell', each.name.toLowerCase()), element('td', 'tip-cell', value))\n  })\n  const counts = `${number(count)} allocations, ${number(live)} live${refused ? `, ${number(refused)} refused` : ''}`\n  const tip = byId('tip')\n  tip.replaceChildren(\n    element('b', '', isolated(node.path || 'all labels')),\n    element('table', 'tip-table', ...rows),\n    element('div', 'quiet', counts),\n  )\n  tip.hidden = false\n  const box = event.currentTarget.getBoundingClientRect()\n  const [x, y] = event.type === 'focus' ? [box.left, box.bottom] : [event.clientX + 14, event.clientY + 16]\n  tip.style.left = `${Math.max(8, Math.min(x, innerWidth - tip.offsetWidth - 8))}px`\n  tip.style.top = `${Math.max(8, Math.min(y, innerHeight - tip.offsetHeight - 8))}px`\n}\n\nfunction hideTip() {\n  byId('tip').hidden = true\n}\n\nfunction drawLabels() {\n  const columns = ['live', 'peak', 'granted', 'live count', 'count', 'refused']\n  const wanted = byId('filter').value.toLowerCase()\n  const found = labels.filter(({ label }) => label.toLowerCase().includes(wanted))\n  const rows = found.sort((a, b) => b.figures[order] - a.figures[order]).slice(0, MAX_ROWS)\n  const head = columns.map((name, i) => {\n    const choice = button('order', () => orderBy(i), name)\n    choice.setAttribute('aria-pressed', String(i === order))\n    return element('th', i > 2 ? 'optional' : '', choice)\n  })\n  byId('labels').replaceChildren(\n    element('thead', '', element('tr', '', element('th', '', 'label'), ...head)),\n    element('tbody', '', ...rows.map(rowOf)),\n  )\n  const hidden = found.length - rows.length\n  byId('more').textContent = hidden > 0 ? `${number(hidden)} more; filter or sort to see them.` : ''\n}\n\nfunction rowOf({ label, figures }) {\n  const cells = figures.map((figure, i) =>\n    element('td', i > 2 ? 'optional' : '', i > 2 ? number(figure) : bytes(figure)),\n  )\n  return element('tr', '', element('td', '', isolated(label)), ...cells)\n}\n\nfunction orderBy(column) {\n  order = column\n  drawLabels()\n}\n\nfunction drawPlaces() {\n  const made = data.places.map(({ label, stack, count, bytes: held, oldestMs }) => {\n    const facts = `${count > 1 ? `${number(count)} allocations, the oldest ` : ''}${time(oldestMs)} old`\n    const summary = element(\n      'summary',\n      '',\n      isolated(label),\n      element('span', 'quiet', facts),\n      element('b', 'held', bytes(held)),\n    )\n    const details = element('details', stack ? '' : 'without', summary)\n    if (stack) details.append(element('pre', '', stack.split('\\n').map(visible).join('\\n')))\n    return details\n  })\n  if (data.hiddenPlaceCount > 0)\n    made.push(element('p', 'quiet', `${number(data.hiddenPlaceCount)} smaller places more.`))\n  if (made.length === 0) made.push(element('p', 'quiet', 'Nothing is live.'))\n  byId('places').append(...made)\n}\n\ndrawAbout()\ndrawFigures()\ndrawChart()\ndrawMeasures()\ndrawFlame()\ndrawLabels()\ndrawPlaces()\nbyId('filter').addEventListener('input', drawLabels)\naddEventListener('resize', drawFlame)\naddEventListener('keydown', ({ key }) => key === 'Escape' && zoomTo(root))\n";

const style = `${base}\n${own}`;
/** Steps of the chart over time at most. */
const MAX_STEPS = 600;
/** Places that live allocations came from, shown at most. */
const MAX_PLACES = 500;
/** Rows gone over before others get their turn. */
const ROWS_A_TURN = 10_000;
/** Stands in the page where its data will. */
const DATA = '\u0000';
/**
 * The profile as one page: nothing outside of it is loaded, and nothing in it is run but its own script, whatever the
 * labels say: they travel as JSON, and the policy names the script and the style by their hashes. It comes in pieces.
 */
function* toPage(record) {
    const page = filledIn(template, {
        policy: `default-src 'none'; style-src ${sourceOf(style)}; script-src ${sourceOf(script)}`,
        style,
        script,
        data: DATA,
    });
    const [head = '', tail = ''] = page.split(DATA);
    const data = yield* dataOf(record);
    yield head;
    // Nothing in it ends the element that holds it.
    for (const piece of jsonPieces(data))
        yield piece.replaceAll('<', '\\u003c');
    yield tail;
}
/** What is drawn. Pieces without a text are given out while it is worked out. */
function* dataOf({ labels, live, events, threads: _, ...figures }) {
    const places = yield* placesOf(live);
    const stepMs = Math.max(figures.durationMs / MAX_STEPS, 1e-3);
    return {
        ...figures,
        labels: Array.from(labels, (totals) => [
            totals.label,
            totals.liveBytes,
            totals.peakBytes,
            totals.grantedBytes,
            totals.liveCount,
            totals.grantedCount,
            totals.refusedCount,
        ]),
        stepMs,
        steps: yield* stepsOf(events, stepMs),
        places: places.slice(0, MAX_PLACES),
        hiddenPlaceCount: Math.max(places.length - MAX_PLACES, 0),
    };
}
function* placesOf(live) {
    const places = new Map();
    let count = 0;
    for (const { label, stack = '', sizeBytes, ageMs } of live) {
        const key = JSON.stringify([label, stack]);
        const place = places.get(key) ?? { label, stack, count: 0, bytes: 0, oldestMs: 0 };
        place.count += 1;
        place.bytes += sizeBytes;
        place.oldestMs = Math.max(place.oldestMs, ageMs);
        places.set(key, place);
        if (++count % ROWS_A_TURN === 0)
            yield '';
    }
    return [...places.values()].sort((a, b) => b.bytes - a.bytes);
}
/** What was allocated over time, in equal steps; those in which nothing happened are left out. */
function* stepsOf(events, stepMs) {
    const steps = new Map();
    let count = 0;
    for (const { timeMs, allocatedBytes } of events) {
        const number = Math.floor(timeMs / stepMs);
        const highest = Math.max(steps.get(number)?.[1] ?? 0, allocatedBytes);
        steps.set(number, [number * stepMs, highest, allocatedBytes]);
        if (++count % ROWS_A_TURN === 0)
            yield '';
    }
    return [...steps.values()];
}

/** What was recorded by a profile that never ran. */
const nothing = {
    startTimeMs: 0,
    durationMs: 0,
    eventCount: 0,
    droppedCount: 0,
    allocatedBytes: 0,
    peakBytes: 0,
    labels: [],
    live: [],
    threads: [],
    events: [],
};
/** Reads the columns of the addon, whose rows `src/profile.rs` describes. */
function decode(native) {
    const rows = rowsOf(native);
    return { ...rows, labels: [...rows.labels], live: [...rows.live], events: [...rows.events] };
}
/** The same, a row at a time. */
function rowsOf(native) {
    const { startedMs, durationMs, eventCount, droppedCount, allocatedBytes, peakBytes } = native;
    const text = (place) => native.texts[place];
    return {
        startTimeMs: startedMs,
        durationMs,
        eventCount,
        droppedCount,
        allocatedBytes,
        peakBytes,
        labels: rows(native.labels, 8, (cell) => labelOf(cell, text)),
        live: rows(native.live, 7, (cell) => liveOf(cell, text)),
        threads: native.threads.map(({ id, name }) => ({ id, name: id === process.pid ? 'main' : name })),
        events: rows(native.events, 8, (cell) => eventOf(cell, text)),
    };
}
const rows = (numbers, width, read) => ({
    *[Symbol.iterator]() {
        let start = 0;
        const cell = (column) => numbers[start + column];
        for (; start < numbers.length; start += width)
            yield read(cell);
    },
});
function eventOf(cell, text) {
    const event = {
        timeMs: cell(0),
        kind: text(cell(1)),
        id: cell(2),
        label: text(cell(3)),
        sizeBytes: cell(4),
        allocatedBytes: cell(5),
        threadId: cell(6),
    };
    if (cell(7) >= 0)
        event.stack = text(cell(7));
    return event;
}
function labelOf(cell, text) {
    return {
        label: text(cell(0)),
        liveBytes: cell(1),
        liveCount: cell(2),
        peakBytes: cell(3),
        grantedBytes: cell(4),
        grantedCount: cell(5),
        refusedBytes: cell(6),
        refusedCount: cell(7),
    };
}
function liveOf(cell, text) {
    return {
        id: cell(0),
        label: text(cell(1)),
        sizeBytes: cell(2),
        ...(cell(3) >= 0 && { committedBytes: cell(3) }),
        ageMs: cell(4),
        ...(cell(5) >= 0 && { threadId: cell(5) }),
        ...(cell(6) >= 0 && { stack: text(cell(6)) }),
    };
}

const loadKinds = new Set(['load-start', 'load-end', 'load-failed', 'load-cancelled']);
/** What an event is about: its begin, its end and what happens in between carry the same category and id. */
const subjectOf = ({ kind, id }) => ({
    cat: loadKinds.has(kind) ? 'load' : 'allocation',
    id2: { local: `0x${id.toString(16)}` },
});
const beginnings = new Set(['held', 'grant', 'load-start']);
const endings$1 = new Set(['release', 'load-end', 'load-failed', 'load-cancelled']);
const changes = new Set(['held', 'grant', 'release']);
/** Events gone over before others get their turn. */
const EVENTS_A_TURN = 10_000;
/** The profile in the Trace Event Format, in pieces. */
function toTrace(record) {
    const { startTimeMs, durationMs, eventCount, droppedCount } = record;
    const otherData = { startTime: new Date(startTimeMs).toISOString(), durationMs, eventCount, droppedCount };
    return jsonPieces({ displayTimeUnit: 'ms', otherData, traceEvents: traceEvents(record) });
}
function* traceEvents(record) {
    yield { ph: 'M', name: 'process_name', pid: process.pid, tid: 0, ts: 0, args: { name: process.title } };
    for (const { id, name } of record.threads) {
        yield { ph: 'M', name: 'thread_name', pid: process.pid, tid: id, ts: 0, args: { name } };
    }
    yield* forgottenBeginnings(record);
    for (const event of record.events)
        yield* traced(event);
}
/** Where the ring has dropped the grant of what is seen to live or to end, it begins with the first event kept. */
function* forgottenBeginnings({ events, live }) {
    const begun = new Set();
    let first;
    let count = 0;
    for (const { kind, id, timeMs } of events) {
        first ??= timeMs;
        if (beginnings.has(kind))
            begun.add(id);
        if (++count % EVENTS_A_TURN === 0)
            yield pause;
    }
    const timeMs = first ?? 0;
    const seen = new Map();
    const since = { kind: 'grant', timeMs, allocatedBytes: 0 };
    for (const { committedBytes, ageMs, ...rest } of live) {
        if (!begun.has(rest.id))
            seen.set(rest.id, { threadId: 0, ...rest, ...since });
        if (++count % EVENTS_A_TURN === 0)
            yield pause;
    }
    for (const event of events) {
        if (endings$1.has(event.kind) && !begun.has(event.id))
            seen.set(event.id, { ...event, timeMs });
        if (++count % EVENTS_A_TURN === 0)
            yield pause;
    }
    for (const event of seen.values())
        yield spanned('b', event);
}
function traced(event) {
    const { kind } = event;
    if (kind === 'refusal')
        return [refused(event)];
    const phase = beginnings.has(kind) ? 'b' : endings$1.has(kind) ? 'e' : 'n';
    const span = spanned(phase, event);
    return changes.has(kind) ? [span, counted(event)] : [span];
}
const placeOf = ({ timeMs, threadId }) => ({ pid: process.pid, tid: threadId, ts: timeMs * 1000 });
function spanned(ph, event) {
    const { kind, label, sizeBytes, stack } = event;
    const name = ph === 'n' ? kind : label;
    return { ph, name, ...placeOf(event), ...subjectOf(event), args: { kind, sizeBytes, ...(stack && { stack }) } };
}
function counted(event) {
    return { ph: 'C', name: 'allocated', ...placeOf(event), args: { bytes: event.allocatedBytes } };
}
function refused(event) {
    const { label, sizeBytes, stack } = event;
    const args = { label, sizeBytes, ...(stack && { stack }) };
    return { ph: 'i', s: 't', cat: 'refusal', name: `refused: ${label}`, ...placeOf(event), args };
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

const writers = {
    *json(record) {
        yield* jsonPieces(record, 1);
        yield '\n';
    },
    trace: toTrace,
    html: toPage,
};
const formats = Object.keys(writers);
/** The endings of file names by which a format is known; the first that fits counts. */
const endings = [
    ['.html', 'html'],
    ['.trace.json', 'trace'],
    ['.json', 'json'],
];
const MAX_CAPACITY = 2 ** 20;
/**
 * Records what happens to a budget: every grant, release, refusal and commit, and what pools and loads over it do, with
 * label, bytes, time and thread. Budgets that share what is allocated share what is recorded, worker threads included.
 *
 * It is off until {@link start}, and costs nothing while it is off.
 *
 * @example
 * manager.profile.start({ stacks: true })
 * // ... the program's work ...
 * manager.profile.stop()
 * for (const { label, sizeBytes, ageMs, stack } of manager.profile.leaks({ olderThanMs: 60_000 })) log.warn(label, stack)
 * await manager.profile.save('profile.html')
 */
class MemoryProfile {
    #budget;
    #native;
    #running = false;
    /** @throws {@link InvalidArgumentError} when `budget` is none. */
    constructor(budget) {
        if (nativeBudget(budget) === undefined)
            throw invalidArgument('budget', 'a MemoryBudget', quoted(budget));
        this.#budget = budget;
    }
    /**
     * Begins to record, with what is allocated already; what was recorded before is forgotten. While it runs, nothing is
     * changed. Returns the profile.
     *
     * @throws {@link InvalidArgumentError} for an unknown or unfit option.
     */
    start(options$1) {
        const { capacity = 65_536, stacks = false, stackDepth = 10, } = options(options$1, {
            capacity: (name, value) => integer(name, value, 1, MAX_CAPACITY),
            stacks: boolean,
            stackDepth: (name, value) => integer(name, value, 1, 100),
        });
        if (this.#running)
            return this;
        // Made from a budget, so it has a native half.
        const budget = nativeBudget(this.#budget);
        this.#native = call(() => NativeProfile.start(budget, capacity, stacks ? stackDepth : 0));
        this.#running = true;
        return this;
    }
    /** Ends the recording; what was recorded stays until the next {@link start}. Idempotent. */
    stop() {
        this.#native?.stop();
        this.#running = false;
    }
    /** The same as {@link stop}, for `using`. */
    [Symbol.dispose]() {
        this.stop();
    }
    /** Whether it records. */
    get running() {
        return this.#running;
    }
    /** The events that are kept, oldest first. */
    events() {
        return this.#read(true).events;
    }
    /** What the allocations under each label came to, most granted first. */
    labels() {
        return this.#read(false).labels;
    }
    /**
     * What is live, oldest first; after {@link stop}, what was live then. What a program still holds where it should hold
     * nothing, or for longer than it should, is a leak.
     *
     * @throws {@link InvalidArgumentError} for an unknown or unfit option.
     */
    leaks(options$1) {
        const { olderThanMs = 0 } = options(options$1, {
            olderThanMs: (name, value) => number(name, value, 0, Number.MAX_SAFE_INTEGER),
        });
        return this.#read(false).live.filter(({ ageMs }) => ageMs >= olderThanMs);
    }
    /** The totals by label, what is live, and the profile's own figures. */
    report() {
        const { events: _, ...report } = this.#read(false);
        return report;
    }
    /**
     * All of it as text: `'json'`, the report and the events; `'trace'`, for Perfetto and chrome://tracing; `'html'`, a
     * page with a flame graph by label that needs nothing but a browser. A hundred thousand events take a good part of a
     * second, during which nothing else runs: {@link save} lets the event loop go on.
     *
     * @throws {@link InvalidArgumentError} for a format that there is none of, and for a text that is longer than a string
     * can be: {@link save} it then.
     */
    export(format) {
        const write = writers[oneOf$1('format', format, formats)];
        const rows = this.#rows();
        // Known at once, before seconds go by over a text that is then thrown away.
        if (format !== 'html')
            expectString(format, leastLength(rows));
        const pieces = [];
        let length = 0;
        for (const piece of write(rows)) {
            length += piece.length;
            expectString(format, length);
            pieces.push(piece);
        }
        return pieces.join('');
    }
    /**
     * Writes {@link export | what is exported} to a file, which appears whole or not at all, with the mode and owner of the
     * file that was there. Links are followed; a device or a pipe is written through, and a pipe is waited for until
     * somebody reads it. It is written in pieces, between which the event loop goes on. The format is that of the name,
     * `.html`, `.trace.json` or `.json`, unless one is given.
     *
     * @throws {@link InvalidArgumentError} for what is no path, and when the name tells no format and none is given.
     * @throws {@link IoError} when the file cannot be written.
     */
    async save(path, format) {
        const target = filePath('path', path);
        const write = writers[oneOf$1('format', format ?? profileFormat('path', target), formats)];
        const record = await this.#native?.readAside();
        try {
            await replaceFile(target, write(record ? rowsOf(record) : nothing));
        }
        catch (cause) {
            throw ioError(target, cause);
        }
    }
    #rows() {
        const native = this.#native;
        return native ? rowsOf(call(() => native.read(true))) : nothing;
    }
    #read(withEvents) {
        const native = this.#native;
        return native ? decode(call(() => native.read(withEvents))) : nothing;
    }
}
/** A text of so many characters has to fit in a string. */
function expectString(format, length) {
    if (length <= node_buffer.constants.MAX_STRING_LENGTH)
        return;
    const expected = 'one whose text fits in a string; save() writes a text of any length to a file';
    throw invalidArgument('format', expected, `"${format}" of more than ${node_buffer.constants.MAX_STRING_LENGTH} characters`);
}
/** Characters that the events take at the least, each with the names of its fields. */
function leastLength({ events }) {
    let length = 0;
    for (const { label, stack = '' } of events)
        length += 100 + label.length + stack.length;
    return length;
}
/** The format that a file's name tells. */
function profileFormat(name, path) {
    const text = string(name, path);
    const found = endings.find(([ending]) => text.endsWith(ending));
    if (found)
        return found[1];
    throw invalidArgument(name, `a name that ends in ${endings.map(([ending]) => ending).join(', ')}`, quoted(text));
}

/** Pools on one account: before one of them refuses, the others give back what they have to spare. */
class SharedRelief {
    #pools = new Set();
    /** Makes a pool that is one of them until it is destroyed. */
    async makePool(options, destroyed) {
        const pool = await makePool(options, {
            relieve: (asking) => this.#relieve(asking),
            destroyed: (gone) => {
                this.#pools.delete(gone);
                destroyed?.(gone);
            },
        });
        this.#pools.add(pool);
        return pool;
    }
    /** Whether the others whose memory is of the same sort gave anything back. */
    async #relieve(asking) {
        const { systemMemory } = asking.device.limits;
        const others = [...this.#pools].filter((pool) => pool !== asking && pool.device.limits.systemMemory === systemMemory);
        const givenBack = await Promise.all(others.map(giveBackIdle));
        return givenBack.some((bytes) => bytes > 0);
    }
}

const managerLimitChecks = {
    ...limitChecks,
    maxBytes: (name, value) => bytes(name, value),
};
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
    /** The preset that was named, or that fits the board that this machine is, if one does. */
    board;
    /** What this machine is, whatever preset was named. */
    machine = Object.freeze(detectBoard());
    /** The budget of this machine. */
    budget;
    /** The pool that streams of this manager's files read through; it counts against the budget. */
    pool;
    /** Pools of device memory; they count against the budget. */
    pools;
    /** Buffers for the NPU: dma-bufs that its runtime imports, or by `kind` its driver's own. */
    npu;
    /** Buffers of the GPU, by `kind` its own, pinned or managed. */
    gpu;
    /** Buffers of ordinary RAM, by `kind` of this process alone or in a memory file. */
    system;
    /** Watches the memory under the budget; off until its `start()`. At critical it first trims {@link pool}. */
    monitor;
    /** Records what happens to the budget; off until its `start()`. */
    profile;
    /** @throws {@link InvalidArgumentError} for an unknown or unfit option, or when the machine's memory cannot be read. */
    constructor(options$1) {
        const { maxHeldBytes = 8 * MiB, device = 'auto', board = 'auto', ...line } = options(options$1, {
            ...machineBudgetChecks,
            maxHeldBytes: (name, value) => bytes(name, value),
            device: deviceChoice,
        });
        const preset = board === 'auto' ? this.machine.preset : board;
        this.board = boardPresets.find(({ id }) => id === preset);
        this.budget = MemoryBudget.forThisMachine({ ...line, board });
        this.pool = new BufferPool({ maxHeldBytes, budget: this.budget });
        this.monitor = new MemoryMonitor(this.budget);
        this.monitor.relieve('buffer pool', () => this.pool.trim());
        this.profile = new MemoryProfile(this.budget);
        const relieve = (label, run) => this.monitor.relieve(label, run);
        const shared = new SharedRelief();
        this.pools = new MemoryPools(internal, { budget: this.budget, device, shared, relieve });
        this.npu = new DeviceFamily(internal, npuFamily, this.budget, shared);
        this.gpu = new DeviceFamily(internal, gpuFamily, this.budget, shared);
        this.system = new DeviceFamily(internal, systemFamily, this.budget, shared);
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
    /**
     * Where the levels of {@link monitor} begin, and how much the budget grants at most. What is left out of what is set
     * takes its default: no maximum beside the line.
     *
     * @throws {@link InvalidArgumentError} for an unknown or unfit limit; nothing is changed then.
     */
    get limits() {
        const { maxBytes } = this.budget;
        return { ...this.monitor.limits, ...(maxBytes !== undefined && { maxBytes }) };
    }
    set limits(limits) {
        const { maxBytes, ...levels } = options(limits, managerLimitChecks);
        this.monitor.limits = levels;
        this.budget.maxBytes = maxBytes;
    }
    /** Takes a buffer for the NPU: `npu.allocate()`. */
    allocateNPUMemory(bytes, options) {
        return this.npu.allocate(bytes, options);
    }
    /** Takes a buffer of the GPU: `gpu.allocate()`. */
    allocateGPUMemory(bytes, options) {
        return this.gpu.allocate(bytes, options);
    }
    /** Takes a buffer of ordinary RAM: `system.allocate()`. */
    allocateSystemMemory(bytes, options) {
        return this.system.allocate(bytes, options);
    }
    /** Frees a buffer, whichever family it is of: `buffer.release()`. */
    deallocateNPUMemory(buffer) {
        realBuffer(buffer).release();
    }
    /** Frees a buffer, whichever family it is of: `buffer.release()`. */
    deallocateGPUMemory(buffer) {
        realBuffer(buffer).release();
    }
    /** Frees a buffer, whichever family it is of: `buffer.release()`. */
    deallocateSystemMemory(buffer) {
        realBuffer(buffer).release();
    }
    /** What was given out for the NPU: `npu.stats()`. */
    getNPUMemoryStats() {
        return this.npu.stats();
    }
    /** What was given out of the GPU: `gpu.stats()`. */
    getGPUMemoryStats() {
        return this.gpu.stats();
    }
    /** What was given out of ordinary RAM: `system.stats()`. */
    getSystemMemoryStats() {
        return this.system.stats();
    }
    /** Makes a pool: `pools.create()`. */
    createMemoryPool(options) {
        return this.pools.create(options);
    }
    /** Hands out a buffer from what a pool, this manager's or not, holds: `pool.allocate()`. */
    allocateFromPool(pool, bytes, options) {
        return realPool('pool', pool).allocate(bytes, options);
    }
    /** Gives all of a pool, this manager's or not, back: `pool.destroy()`. */
    async destroyMemoryPool(pool) {
        return realPool('pool', pool).destroy();
    }
    /** Everything in use, in a few numbers. */
    getMemoryUsage() {
        const { allocatedBytes, lineBytes } = this.budget;
        return {
            allocatedBytes,
            lineBytes,
            npuBytes: this.npu.stats().usedBytes,
            gpuBytes: this.gpu.stats().usedBytes,
            systemBytes: this.system.stats().usedBytes,
            poolBytes: [...this.pools].reduce((sum, pool) => sum + pool.stats().heldBytes, 0),
            process: processMemory(),
        };
    }
    /** The statistics of everything. */
    getMemoryStats() {
        const pools = [...this.pools].map((pool) => ({ label: pool.label, device: pool.device.name, ...pool.stats() }));
        return { npu: this.npu.stats(), gpu: this.gpu.stats(), system: this.system.stats(), pools };
    }
    /** Sets {@link limits}. */
    setMemoryLimits(limits) {
        this.limits = limits;
    }
    /** Starts {@link profile}, and returns it. */
    enableMemoryProfiling(options) {
        this.profile.start(options);
        return this.profile;
    }
    /** Whether it was closed. */
    get closed() {
        return this.#closed;
    }
    /**
     * Ends the monitor and loads in flight (they reject with an {@link AbortError}), destroys the pools and gives back every
     * buffer of a device. Allocations of the budget belong to their holders and stay; what the profile has recorded can still be read. Resolves when every reader has stopped. Idempotent.
     */
    async close() {
        this.#closed = true;
        this.monitor.close();
        this.pool.close();
        // Whatever becomes of one of them, the others end.
        try {
            await this.#loads.close(released('the memory manager'));
        }
        finally {
            const closed = allSettled([this.pools, this.npu, this.gpu, this.system].map((part) => part.close()));
            await closed.finally(() => this.profile.stop());
        }
    }
    /** The same as {@link close}, for `await using`. */
    async [Symbol.asyncDispose]() {
        await this.close();
    }
}
function realBuffer(buffer) {
    if (isBuffer(buffer))
        return buffer;
    throw invalidArgument('buffer', 'a DeviceBuffer', quoted(buffer));
}

/**
 * What each process holds on NVIDIA's GPUs: as nvmap tells it where it does (root, on a Jetson but for Thor), else as the
 * management library NVML does, which is opened for it when it is there. What a driver does not tell is absent, not 0.
 *
 * @throws {@link DeviceUnavailableError} where neither tells, with what is the matter with each.
 * @throws {@link InvalidArgumentError} for an unknown option.
 *
 * @example
 * for (const { pid, bytes } of await gpuProcesses()) console.log(pid, bytes ?? 'not told')
 */
async function gpuProcesses(options$1) {
    const { root } = options(options$1, { root: string });
    try {
        return await gpuProcesses$1(root);
    }
    catch (error) {
        throw fromNative(error);
    }
}

/**
 * The processes of this machine, the largest first, as far as this user may look: names, parents, start times, command
 * lines and memory. There are none of a copy of a board's files.
 *
 * A buffer of a dma-heap, of CUDA or of an NPU is in no process's memory.
 *
 * @throws {@link IoError} where `/proc` is not mounted.
 * @throws {@link InvalidArgumentError} for an unknown option.
 *
 * @example
 * const [largest] = await processes()
 * console.log(largest?.command, largest?.rssBytes)
 */
async function processes(options$1) {
    const { loaded = false } = options(options$1, { loaded: boolean });
    try {
        return await processes$1(loaded);
    }
    catch (error) {
        throw fromNative(error);
    }
}

const types = [
    Allocation,
    BufferPool,
    Device,
    DeviceBuffer,
    GgufFile,
    MemoryBudget,
    MemoryManager,
    MemoryMonitor,
    MemoryPool,
    MemoryProfile,
    PooledBuffer,
    TensorChunk,
];
for (const type of types)
    markCopy(type);

exports.AbortError = AbortError;
exports.AddonUnavailableError = AddonUnavailableError;
exports.Allocation = Allocation;
exports.BufferPool = BufferPool;
exports.BusyError = BusyError;
exports.Device = Device;
exports.DeviceBuffer = DeviceBuffer;
exports.DeviceError = DeviceError;
exports.DeviceFamily = DeviceFamily;
exports.DeviceUnavailableError = DeviceUnavailableError;
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
exports.MemoryMonitor = MemoryMonitor;
exports.MemoryPool = MemoryPool;
exports.MemoryPools = MemoryPools;
exports.MemoryProfile = MemoryProfile;
exports.MiB = MiB;
exports.PlimsollError = PlimsollError;
exports.PoolBuffer = PoolBuffer;
exports.PooledBuffer = PooledBuffer;
exports.ReleasedError = ReleasedError;
exports.TensorChunk = TensorChunk;
exports.UnsupportedTypeError = UnsupportedTypeError;
exports.backEnds = backEnds;
exports.boardPresets = boardPresets;
exports.detectBoard = detectBoard;
exports.formatBytes = formatBytes;
exports.gpuProcesses = gpuProcesses;
exports.instructionSet = instructionSet;
exports.loadedAddon = loadedAddon;
exports.machineMemory = machineMemory;
exports.parseBytes = parseBytes;
exports.parsePoolSnapshots = parsePoolSnapshots;
exports.planNpuDomains = planNpuDomains;
exports.poolsPage = poolsPage;
exports.processMemory = processMemory;
exports.processes = processes;
exports.signals = signals;
exports.tensorDataBytes = tensorDataBytes;
exports.tensorOutputs = tensorOutputs;
