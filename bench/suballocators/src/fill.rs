//! How full a slab gets.

use crate::{
    peers::Peer,
    trace::{Random, Sizes},
};

/// The used share of a slab, in percent, when the first request fails: buffers are only taken.
pub fn fill<P: Peer>(sizes: &Sizes, slab_bytes: u64, seed: u64) -> f64 {
    run::<P>(sizes, slab_bytes, seed, 0)
}

/// The same while buffers of any age are released: 47 for every 100 that are taken.
pub fn churn<P: Peer>(sizes: &Sizes, slab_bytes: u64, seed: u64) -> f64 {
    run::<P>(sizes, slab_bytes, seed, 47)
}

fn run<P: Peer>(sizes: &Sizes, slab_bytes: u64, seed: u64, freed_percent: usize) -> f64 {
    let mut random = Random::new(seed);
    let mut peer = P::new(slab_bytes, 100_000);
    let mut live = Vec::new();
    let mut used_bytes = 0;
    loop {
        let bytes = sizes.draw(&mut random);
        let Some(handle) = peer.allocate(bytes) else { return used_bytes as f64 / slab_bytes as f64 * 100.0 };
        live.push((handle, bytes));
        used_bytes += bytes;
        if random.below(100) < freed_percent {
            let (handle, bytes) = live.swap_remove(random.below(live.len()));
            peer.free(handle);
            used_bytes -= bytes;
        }
    }
}

/// Of as many slabs of random sizes, how many give all they have to one request, in percent.
pub fn whole<P: Peer>(count: u64) -> f64 {
    let mut random = Random::new(5);
    let granted = (0..count).filter(|_| {
        let granules = 1 + random.below(1 << 20) as u64;
        P::new(granules * plimsoll::pool::GRANULE_BYTES, 16)
            .allocate(granules * plimsoll::pool::GRANULE_BYTES)
            .is_some()
    });
    granted.count() as f64 * 100.0 / count as f64
}
