//! Sizes: constants, and how they are written for people.

/// 2^10 bytes.
pub const KIB: u64 = 1 << 10;
/// 2^20 bytes.
pub const MIB: u64 = 1 << 20;
/// 2^30 bytes.
pub const GIB: u64 = 1 << 30;

/// The largest size this project speaks of: 2^53 - 1 bytes, the largest integer a JavaScript number holds
/// exactly. No machine comes near it.
pub const MAX_BYTES: u64 = (1 << 53) - 1;

/// Writes a size for people: the largest binary unit that leaves a number of one or more, two decimals.
///
/// ```
/// assert_eq!(plimsoll::units::format_bytes(6 << 30), "6.00 GiB");
/// assert_eq!(plimsoll::units::format_bytes(1000), "1000 bytes");
/// ```
#[must_use]
pub fn format_bytes(bytes: u64) -> String {
    const STEPS: [(u64, &str); 4] = [(1 << 40, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")];
    // What would round up to 1024 of one unit is written as 1 of the next: 1023.995 / 1024 = 204799 / 204800.
    let reaches = |unit: u64| u128::from(bytes) * 204_800 >= u128::from(unit) * 204_799;
    STEPS.iter().find(|(unit, _)| *unit == KIB && bytes >= KIB || *unit > KIB && reaches(*unit)).map_or_else(
        || if bytes == 1 { "1 byte".to_owned() } else { format!("{bytes} bytes") },
        |(unit, name)| format!("{:.2} {name}", bytes as f64 / *unit as f64),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_in_the_largest_fitting_unit() {
        assert_eq!(format_bytes(0), "0 bytes");
        assert_eq!(format_bytes(1), "1 byte");
        assert_eq!(format_bytes(1023), "1023 bytes");
        assert_eq!(format_bytes(1536), "1.50 KiB");
        assert_eq!(format_bytes(MIB - 6), "1023.99 KiB");
        assert_eq!(format_bytes(MIB - 1), "1.00 MiB");
        assert_eq!(format_bytes(MAX_BYTES), "8192.00 TiB");
    }
}
