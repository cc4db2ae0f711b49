import { PoolSnapshot, ProfileRows } from './index.js';

/**
 * Snapshots of pools as one page that needs nothing but a browser: every slab with its blocks, and the pools' figures.
 * Nothing outside of it is loaded, and nothing in it is run, whatever the labels say.
 *
 * @throws `InvalidArgumentError` when `snapshots` is not an array of snapshots.
 * @example
 * await writeFile('pool.html', poolsPage([pool.snapshot()]))
 * await writeFile('pools.html', poolsPage([...manager.pools].map((pool) => pool.snapshot())))
 */
declare function poolsPage(snapshots: readonly PoolSnapshot[]): string;

/**
 * Writes a profile as one page with a flame graph by label, which needs nothing but a browser: for `export` and `save` of a
 * `MemoryProfile`. Nothing outside of it is loaded, and nothing in it is run but its own script, whatever the labels say: they
 * travel as JSON, and the policy names the script and the style by their hashes.
 *
 * @throws `InvalidArgumentError` when `rows` are not what a `MemoryProfile` gives its writer.
 * @example
 * await manager.profile.save('profile.html', profilePage)
 */
declare function profilePage(rows: ProfileRows): Generator<string>;

export { poolsPage, profilePage };
