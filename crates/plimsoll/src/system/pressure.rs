//! Pressure stall information: `/proc/pressure/memory`.

use super::{
    root::Reason,
    text::{field, text},
};

/// How long work stood still for want of memory. Source: the kernel's `accounting/psi.rst`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pressure {
    /// Some task waited.
    pub some: Stall,
    /// All tasks waited.
    pub full: Stall,
}

/// Shares of time, 0 to 100, over three windows, and their sum since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stall {
    /// Over the last 10 seconds.
    pub avg10_percent: f64,
    /// Over the last 60 seconds.
    pub avg60_percent: f64,
    /// Over the last 300 seconds.
    pub avg300_percent: f64,
    /// Since the start, in microseconds.
    pub total_us: u64,
}

impl Pressure {
    /// Parses the text of `/proc/pressure/memory`.
    ///
    /// # Errors
    ///
    /// [`Reason::Malformed`] when a line is missing or a share is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, Reason> {
        let text = text(bytes)?;
        let stall = |name| field(text, name, ' ').and_then(Stall::parse);
        let expected = Reason::Malformed("lines \"some avg10=N avg60=N avg300=N total=N\" and \"full ...\"");
        match (stall("some"), stall("full")) {
            (Some(some), Some(full)) => Ok(Self { some, full }),
            _ => Err(expected),
        }
    }
}

impl Stall {
    fn parse(line: &str) -> Option<Self> {
        let value = |name: &str| {
            line.split_ascii_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        };
        let percent =
            |name| value(name)?.parse::<f64>().ok().filter(|percent| (0.0..=100.0).contains(percent));
        Some(Self {
            avg10_percent: percent("avg10")?,
            avg60_percent: percent("avg60")?,
            avg300_percent: percent("avg300")?,
            total_us: value("total")?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lines_are_read() {
        let text = "some avg10=1.50 avg60=0.00 avg300=0.25 total=77\nfull avg10=0.50 avg60=0.00 avg300=0.00 total=7\n";
        let pressure = Pressure::parse(text.as_bytes()).unwrap();
        assert_eq!((pressure.some.avg10_percent, pressure.some.total_us), (1.5, 77));
        assert_eq!((pressure.full.avg10_percent, pressure.full.total_us), (0.5, 7));
    }

    #[test]
    fn a_share_that_is_none_is_refused() {
        let good = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        for (from, to) in [
            ("avg10=0.00", "avg10=-1"),
            ("avg60=0.00", "avg60=101"),
            ("avg300=0.00", "avg300=NaN"),
            ("total=0", "total=x"),
        ] {
            assert!(Pressure::parse(good.replace(from, to).as_bytes()).is_err(), "{to}");
        }
        assert!(Pressure::parse(b"").is_err());
        assert!(Pressure::parse(b"some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n").is_err());
    }
}
