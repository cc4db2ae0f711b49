//! Sizes as people write them.

use bytesize::ByteSize;

use crate::{
    error::{Error, Result},
    units::MAX_BYTES,
};

/// Reads a size as people write it.
///
/// A bare number, or one with `B`, is bytes; `KiB`, `MiB`, `GiB` and so on are powers of two, with or without their
/// `B`, as are the bare letters `K`, `M`, `G` and `T` (as in `docker run --memory`); `KB`, `MB`, `GB` and so on are
/// powers of ten. Upper or lower case, with or without a space. A fraction is exact: of its bytes, only what is less than one
/// is left out.
///
/// # Errors
///
/// [`Error::InvalidArgument`] for anything else, for a negative size and for one above [`MAX_BYTES`].
///
/// ```
/// use plimsoll::{parse_bytes, units::{GIB, MIB}};
/// assert_eq!(parse_bytes("6 GiB").unwrap(), 6 * GIB);
/// assert_eq!(parse_bytes("512MiB").unwrap(), 512 * MIB);
/// assert_eq!(parse_bytes("8G").unwrap(), 8 * GIB);
/// assert_eq!(parse_bytes("8GB").unwrap(), 8_000_000_000);
/// ```
pub fn parse_bytes(text: &str) -> Result<u64> {
    let trimmed = text.trim();
    let bare_letter = trimmed.ends_with(['k', 'm', 'g', 't', 'K', 'M', 'G', 'T']);
    let spelt_out = if bare_letter { format!("{trimmed}iB") } else { trimmed.to_owned() };
    exact_bytes(&spelt_out).filter(|bytes| *bytes <= MAX_BYTES).ok_or_else(|| {
        let expected = "a size such as \"6 GiB\", \"512MiB\", \"8G\" or \"1000000\"";
        Error::invalid_argument("text", expected, format!("{text:?}"))
    })
}

/// The crate says what is a size and what its unit is; its sum, in floating point, would be a byte short of 1.001 KB.
fn exact_bytes(text: &str) -> Option<u64> {
    text.parse::<ByteSize>().ok()?;
    let (number, unit) =
        text.split_at(text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit_bytes = u128::from(format!("1{unit}").parse::<ByteSize>().ok()?.as_u64());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    // From the last digit to the first: what a tenth leaves over of a whole number is never more than a carry can bring back.
    let carried = |below: u128, digit: u8| (u128::from(digit - b'0') * unit_bytes + below) / 10;
    let fraction_bytes = fraction.bytes().rev().filter(u8::is_ascii_digit).fold(0, carried);
    u64::try_from(u128::from(whole).checked_mul(unit_bytes)?.checked_add(fraction_bytes)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::GIB;

    #[test]
    fn bare_letters_are_binary_and_two_letters_are_decimal() {
        assert_eq!(parse_bytes("1k").unwrap(), 1024);
        assert_eq!(parse_bytes("1kB").unwrap(), 1000);
        assert_eq!(parse_bytes("1.5 GiB").unwrap(), GIB + GIB / 2);
        assert_eq!(parse_bytes("4096").unwrap(), 4096);
        assert_eq!((parse_bytes(".5 KiB").unwrap(), parse_bytes("5. KiB").unwrap()), (512, 5120));
    }

    #[test]
    fn fractions_are_exact() {
        for thousandths in 0..4000_u64 {
            let (whole, rest) = (thousandths / 1000, thousandths % 1000);
            assert_eq!(parse_bytes(&format!("{whole}.{rest:03}KB")).unwrap(), thousandths);
            assert_eq!(parse_bytes(&format!("{whole}.{rest:03} GB")).unwrap(), thousandths * 1_000_000);
            assert_eq!(parse_bytes(&format!("{whole}.{rest:03}KiB")).unwrap(), thousandths * 1024 / 1000);
        }
        assert_eq!(parse_bytes("0.0000000000009094947017729282379150390625TiB").unwrap(), 1);
        assert_eq!(parse_bytes("0.0000000000009094947017729282379150390624TiB").unwrap(), 0);
        assert_eq!(parse_bytes(&format!("1.{}KB", "9".repeat(500))).unwrap(), 1999);
        assert_eq!(parse_bytes("8191.9999999999999TiB").unwrap(), MAX_BYTES);
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for text in
            ["", " ", "GiB", "-1", "-1 GiB", "12 parsecs", "NaN", "inf", "1e999", "9007199254740992", "0x10"]
        {
            let error = parse_bytes(text).unwrap_err();
            assert_eq!(error.code(), "ERR_INVALID_ARGUMENT", "{text:?}");
        }
    }
}
