//! Who holds, waits and drains.

use super::{
    holder::LedgerHolder,
    identity::{Identity, now_ns},
    slots::Slots,
    state::Tenure,
};

const NS_IN_MS: u64 = 1_000_000;

/// All who have a share, in the order of their slots.
pub(super) fn holders(slots: &Slots<'_>) -> Vec<LedgerHolder> {
    let (now, own) = (now_ns(), Identity::own());
    let since = |ns: u64| now.saturating_sub(ns) / NS_IN_MS;
    let holder = |(slot, tenure): (usize, Tenure)| {
        let share = slots.share(slot)?;
        let notice = slots.notice(slot).unwrap_or_default();
        let is_draining = tenure == Tenure::Draining;
        let drain = slots.drain(slot).filter(|_| is_draining);
        Some(LedgerHolder {
            slot,
            is_seen: notice.pid_namespace == own.pid_namespace,
            pid: notice.pid,
            uid: notice.uid,
            age_ms: since(notice.since_ns),
            held_bytes: share.held_bytes,
            pending_bytes: if is_draining { 0 } else { slots.pending(slot) },
            revocable_bytes: share.revocable_bytes,
            priority: share.priority,
            is_draining,
            drains_for_ms: drain.map_or(0, |drain| drain.until_ns.saturating_sub(now) / NS_IN_MS),
            waiting: share.waiting.filter(|_| !is_draining),
            waiting_label: notice.waiting_label,
            waiting_ms: share.waiting.map_or(0, |waiting| since(waiting.since_ns)),
            name: notice.name,
        })
    };
    slots.taken().filter_map(holder).collect()
}
