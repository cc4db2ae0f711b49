//! What a run comes to, in sentences.

use super::{happening::Happening, moment::HolderMoment, run::BlackBoxRun, verdict::Verdict};
use crate::units::format_bytes;

impl BlackBoxRun {
    /// What there is to say of it, a sentence a line.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = self.verdict().iter().map(of_the_holder).collect();
        if let Some(refusal) = self.last_refusal() {
            words.push(of_the_refusal(refusal, self.ended_ms));
        }
        words.extend(self.waiting().map(of_who_waits));
        if let Some(count) = self.kill_count.filter(|count| *count > 0) {
            words.push(format!("The OOM killer killed {count} while it was written"));
        }
        if let Some(count) = self.later_kill_count.filter(|count| *count > 0 && self.was_cut()) {
            words.push(format!("The OOM killer has killed {count} since the last block"));
        }
        words
    }
}

fn of_the_holder(verdict: &Verdict) -> String {
    let Some(holder) = &verdict.holder else { return "Nobody held anything".to_owned() };
    let (held, taken) = (format_bytes(holder.held_bytes), format_bytes(holder.taken_bytes()));
    let who = format!("{} was granted {held}", named(&holder.name, holder.pid));
    let room = match verdict.room_bytes {
        Some(room) => format!("the machine could give {}", format_bytes(room)),
        None => "what the machine could give was not known".to_owned(),
    };
    if holder.pending_bytes == 0 {
        return format!("{who} and had taken all of it; {room}");
    }
    let all = if verdict.outstanding_bytes > holder.pending_bytes {
        format!(" ({} with those of others)", format_bytes(verdict.outstanding_bytes))
    } else {
        String::new()
    };
    let missing = match (verdict.missing_bytes, verdict.room_bytes) {
        (_, None) => String::new(),
        (0, _) => ": nothing was missing".to_owned(),
        (missing, _) => format!(": {} were missing", format_bytes(missing)),
    };
    let rest = format_bytes(holder.pending_bytes);
    format!("{who} and had taken {taken}; {rest}{all} were still to come and {room}{missing}")
}

fn of_the_refusal(refusal: &Happening, ended_ms: u64) -> String {
    let seconds = ended_ms.saturating_sub(refusal.time_ms) as f64 / 1000.0;
    let who = named(&refusal.name, refusal.pid);
    let asked = format!(
        "{} for {:?} were refused to {who}, {seconds:.1} s before the last block",
        format_bytes(refusal.bytes),
        refusal.label
    );
    let Some((available, missing)) = refusal.available_bytes.zip(refusal.missing_bytes()) else {
        return asked;
    };
    let why = refusal.constraint.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("{asked}: {} were there, {} were missing{why}", format_bytes(available), format_bytes(missing))
}

fn of_who_waits(holder: &HolderMoment) -> String {
    let who = named(&holder.name, holder.pid);
    let others = match holder.waiting_count {
        0 | 1 => String::new(),
        count => format!(", and {} more of its requests", count - 1),
    };
    format!(
        "{who} had waited {:.1} s for {} for {:?}{others}",
        holder.waiting_ms as f64 / 1000.0,
        format_bytes(holder.waiting_bytes.unwrap_or(0)),
        holder.waiting_label
    )
}

fn named(name: &str, pid: u32) -> String {
    if name.is_empty() { format!("process {pid}") } else { format!("{name} (process {pid})") }
}
