//! A moment as the payload of a block.

use super::{
    block::{BlockStamp, PAYLOAD_BYTES},
    codec::{PayloadReader, PayloadWriter},
    happening::{Happening, HappeningKind},
    moment::{BlackBoxMoment, HolderMoment, LabelMoment, MachineMoment},
};
use crate::monitor::Level;
use crate::sorting::sort_by_key;

const NAME_BYTES: usize = 64;
const LABEL_BYTES: usize = 96;
const CONSTRAINT_BYTES: usize = 240;

/// Where holders end at the latest, and labels. What happened has the rest.
const HOLDERS_END: usize = 2000;
const LABELS_END: usize = 2800;

/// What the last count takes at most.
const COUNT_BYTES: usize = 10;

/// The payload, with the name of the writer.
pub(super) fn payload_of(moment: &BlackBoxMoment, writer: &str) -> Vec<u8> {
    let mut to = PayloadWriter::default();
    to.text(writer, NAME_BYTES);
    to.number(moment.line_bytes);
    to.number(moment.allocated_bytes);
    to.number(u64::from(moment.machine.is_some()));
    if let Some(machine) = &moment.machine {
        write_machine(&mut to, machine);
    }
    let left_out = to.list(&moment.holders, HOLDERS_END, write_holder);
    to.number(moment.other_holder_count.saturating_add(left_out as u64));
    let left_out = to.list(&moment.labels, LABELS_END, |to, label| {
        to.text(&label.label, LABEL_BYTES);
        to.number(label.bytes);
        to.number(label.count);
    });
    to.number(moment.other_label_count.saturating_add(left_out as u64));
    let kept = kept_happenings(moment, PAYLOAD_BYTES.saturating_sub(to.0.len() + COUNT_BYTES + 3));
    let left_out = moment.happenings.len() - kept.len();
    to.list(&kept, PAYLOAD_BYTES - COUNT_BYTES, |to, each| write_happening(to, each, moment.time_ms));
    to.number(moment.other_happening_count.saturating_add(left_out as u64));
    to.0
}

/// What a block says, and who wrote it; none where its payload is none.
pub(super) fn moment_of(stamp: &BlockStamp, payload: &[u8]) -> Option<(BlackBoxMoment, String)> {
    let mut from = PayloadReader(payload);
    let writer = from.text()?;
    let moment = BlackBoxMoment {
        kind: stamp.kind,
        sequence: stamp.sequence,
        time_ms: stamp.time_ms,
        since_boot_ms: stamp.boot_ns / 1_000_000,
        line_bytes: from.number()?,
        allocated_bytes: from.number()?,
        machine: if from.number()? == 0 { None } else { Some(read_machine(&mut from)?) },
        holders: from.list(read_holder)?,
        other_holder_count: from.number()?,
        labels: from.list(|from| {
            Some(LabelMoment { label: from.text()?, bytes: from.number()?, count: from.number()? })
        })?,
        other_label_count: from.number()?,
        happenings: from.list(|from| read_happening(from, stamp.time_ms))?,
        other_happening_count: from.number()?,
    };
    Some((moment, writer))
}

/// Those of the happenings that fit into so many bytes, oldest first: refusals and waits, and then the largest.
fn kept_happenings(moment: &BlackBoxMoment, most_bytes: usize) -> Vec<&Happening> {
    let mut ranked: Vec<(usize, &Happening)> = moment.happenings.iter().enumerate().collect();
    // Of two that are alike the later one tells more.
    sort_by_key(&mut ranked, |(at, each)| (each.kind.rank(), std::cmp::Reverse((each.bytes, *at))));
    let mut left = most_bytes;
    let mut kept: Vec<_> = ranked
        .into_iter()
        .take_while(|(_, each)| {
            let mut sized = PayloadWriter::default();
            write_happening(&mut sized, each, moment.time_ms);
            let fits = sized.0.len() <= left;
            left = left.saturating_sub(sized.0.len());
            fits
        })
        .collect();
    sort_by_key(&mut kept, |(at, _)| *at);
    kept.into_iter().map(|(_, each)| each).collect()
}

fn write_machine(to: &mut PayloadWriter, machine: &MachineMoment) {
    to.number(machine.total_bytes);
    to.number(machine.available_bytes);
    to.number(machine.room_bytes);
    to.number(machine.headroom_bytes);
    to.text(&machine.constraint, CONSTRAINT_BYTES);
    to.number(hundredths(machine.used_percent));
    to.number(Level::ALL.iter().position(|level| *level == machine.level).unwrap_or(0) as u64);
    to.maybe(machine.stalled_percent.map(hundredths));
    to.maybe(machine.fully_stalled_percent.map(hundredths));
    to.maybe(machine.oom_kill_count);
}

fn read_machine(from: &mut PayloadReader<'_>) -> Option<MachineMoment> {
    Some(MachineMoment {
        total_bytes: from.number()?,
        available_bytes: from.number()?,
        room_bytes: from.number()?,
        headroom_bytes: from.number()?,
        constraint: from.text()?,
        used_percent: percent(from.number()?),
        level: *Level::ALL.get(usize::try_from(from.number()?).ok()?)?,
        stalled_percent: from.maybe().ok()?.map(percent),
        fully_stalled_percent: from.maybe().ok()?.map(percent),
        oom_kill_count: from.maybe().ok()?,
    })
}

fn write_holder(to: &mut PayloadWriter, holder: &HolderMoment) {
    to.text(&holder.name, NAME_BYTES);
    to.number(u64::from(holder.pid));
    to.number(u64::from(holder.is_writer) | u64::from(holder.is_draining) << 1);
    to.number(holder.held_bytes);
    to.number(holder.pending_bytes);
    to.number(holder.revocable_bytes);
    to.maybe(holder.waiting_bytes);
    if holder.waiting_bytes.is_some() {
        to.text(&holder.waiting_label, NAME_BYTES);
        to.number(holder.waiting_ms);
        to.number(holder.waiting_count);
    }
}

fn read_holder(from: &mut PayloadReader<'_>) -> Option<HolderMoment> {
    let (name, pid, marks) = (from.text()?, u32::try_from(from.number()?).ok()?, from.number()?);
    let mut holder = HolderMoment {
        name,
        pid,
        is_writer: marks & 1 != 0,
        is_draining: marks & 2 != 0,
        held_bytes: from.number()?,
        pending_bytes: from.number()?,
        revocable_bytes: from.number()?,
        waiting_bytes: from.maybe().ok()?,
        ..HolderMoment::default()
    };
    if holder.waiting_bytes.is_some() {
        holder.waiting_label = from.text()?;
        holder.waiting_ms = from.number()?;
        holder.waiting_count = from.number()?;
    }
    Some(holder)
}

fn write_happening(to: &mut PayloadWriter, each: &Happening, block_ms: u64) {
    to.number(HappeningKind::ALL.iter().position(|kind| *kind == each.kind).unwrap_or(0) as u64);
    to.number(block_ms.saturating_sub(each.time_ms));
    to.text(&each.name, NAME_BYTES);
    to.number(u64::from(each.pid));
    to.text(label_end(each), LABEL_BYTES);
    to.number(each.bytes);
    to.maybe(each.available_bytes);
    if each.available_bytes.is_some() {
        to.text(each.constraint.as_deref().unwrap_or_default(), CONSTRAINT_BYTES);
    }
}

fn read_happening(from: &mut PayloadReader<'_>, block_ms: u64) -> Option<Happening> {
    let kind = *HappeningKind::ALL.get(usize::try_from(from.number()?).ok()?)?;
    let mut each = Happening {
        kind,
        time_ms: block_ms.saturating_sub(from.number()?),
        name: from.text()?,
        pid: u32::try_from(from.number()?).ok()?,
        label: from.text()?,
        bytes: from.number()?,
        available_bytes: from.maybe().ok()?,
        constraint: None,
    };
    if each.available_bytes.is_some() {
        each.constraint = Some(from.text()?).filter(|text| !text.is_empty());
    }
    Some(each)
}

/// Of the path of a file the end says which one it is.
fn label_end(each: &Happening) -> &str {
    let is_path = matches!(
        each.kind,
        HappeningKind::LoadStart
            | HappeningKind::LoadEnd
            | HappeningKind::LoadFailed
            | HappeningKind::LoadCancelled
    );
    let from = each.label.len().saturating_sub(LABEL_BYTES);
    if is_path {
        each.label.get(each.label.ceil_char_boundary(from)..).unwrap_or_default()
    } else {
        &each.label
    }
}

#[allow(clippy::cast_sign_loss)] // It is not below zero.
fn hundredths(percent: f64) -> u64 {
    (percent.clamp(0.0, 1e6) * 100.0).round() as u64
}

fn percent(hundredths: u64) -> f64 {
    hundredths as f64 / 100.0
}
