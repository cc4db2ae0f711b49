//! What a server says before the body of its answer.

use gguf_file::MAX_EXACT;

/// The status and the fields of an answer that matter here, as they came. A field that came several times is joined by commas,
/// as clients do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerAnswer {
    /// The status code.
    pub status: u16,
    /// `Content-Range`.
    pub content_range: Option<String>,
    /// `Content-Length`.
    pub content_length: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub last_modified: Option<String>,
    /// `Retry-After`.
    pub retry_after: Option<String>,
}

/// What `Content-Range` says, RFC 9110 section 14.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// The first byte that was sent and the one behind the last; `None` where no byte was asked for that is there.
    pub range: Option<(u64, u64)>,
    /// The size of the whole file, where it is told.
    pub total_bytes: Option<u64>,
}

/// What tells one state of a file on a server from another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Validators {
    etag: Option<String>,
    last_modified: Option<String>,
}

impl ServerAnswer {
    /// The range of bytes; `None` for a field that is missing or cannot be.
    pub(super) fn range(&self) -> Option<ContentRange> {
        let text = self.content_range.as_deref()?.trim();
        let (unit, rest) = text.split_once(' ')?;
        let (range, total) = rest.trim().split_once('/')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let total_bytes = if total == "*" { None } else { Some(number(total)?) };
        if range == "*" {
            return Some(ContentRange { range: None, total_bytes });
        }
        let (first, last) = range.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        let is_sound = first <= last && total_bytes.is_none_or(|total| last < total);
        is_sound.then_some(ContentRange { range: Some((first, last + 1)), total_bytes })
    }

    /// Bytes of the body, where they are told.
    pub(super) fn body_bytes(&self) -> Option<u64> {
        number(self.content_length.as_deref()?.trim())
    }

    /// How the body is encoded, where it is not the bytes as they are.
    pub(super) fn encoding(&self) -> Option<&str> {
        let encoding = self.content_encoding.as_deref()?.trim();
        (!encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity")).then_some(encoding)
    }

    pub(super) fn validators(&self) -> Validators {
        Validators { etag: self.etag.clone(), last_modified: self.last_modified.clone() }
    }
}

impl Validators {
    /// What `If-Range` takes: a strong entity tag.
    pub fn if_range(&self) -> Option<String> {
        self.etag.clone().filter(|etag| etag.starts_with('"'))
    }

    /// Whether both are of one state of the file, as far as they say. Servers of one file agree on its entity tag sooner than
    /// on its time.
    pub fn agrees(&self, other: &Self) -> bool {
        match (&self.etag, &other.etag) {
            (Some(one), Some(other)) => opaque(one) == opaque(other),
            _ => match (&self.last_modified, &other.last_modified) {
                (Some(one), Some(other)) => one == other,
                _ => true,
            },
        }
    }
}

/// An entity tag without the mark of a weak one.
fn opaque(etag: &str) -> &str {
    etag.strip_prefix("W/").unwrap_or(etag)
}

/// Digits and nothing else, of a number that a file's size can be.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten().filter(|number| *number <= MAX_EXACT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range_of(text: &str) -> Option<ContentRange> {
        ServerAnswer { content_range: Some(text.to_owned()), ..ServerAnswer::default() }.range()
    }

    #[test]
    fn a_range_is_read_with_its_total_or_without() {
        let range = Some((5, 10));
        assert_eq!(range_of("bytes 5-9/20"), Some(ContentRange { range, total_bytes: Some(20) }));
        assert_eq!(range_of(" Bytes 5-9/* "), Some(ContentRange { range, total_bytes: None }));
        assert_eq!(range_of("bytes */0"), Some(ContentRange { range: None, total_bytes: Some(0) }));
    }

    #[test]
    fn a_range_that_cannot_be_is_none() {
        for text in [
            "",
            "bytes",
            "bytes 5-9",
            "items 5-9/20",
            "bytes 9-5/20",
            "bytes 5-20/20",
            "bytes -9/20",
            "bytes 5-/20",
            "bytes +5-9/20",
            "bytes 5-9/x",
            "bytes 5-9/-1",
            "bytes 5-9/20, bytes 5-9/20",
            "bytes 0-18446744073709551615/*",
            "bytes 0-9007199254740992/*",
            "bytes 0-1/99999999999999999999",
        ] {
            assert_eq!(range_of(text), None, "{text}");
        }
    }

    #[test]
    fn the_entity_tag_decides_before_the_time_does() {
        let of = |etag: Option<&str>, time: Option<&str>| Validators {
            etag: etag.map(str::to_owned),
            last_modified: time.map(str::to_owned),
        };
        assert!(of(Some("\"a\""), Some("Mon")).agrees(&of(Some("W/\"a\""), Some("Tue"))));
        assert!(!of(Some("\"a\""), Some("Mon")).agrees(&of(Some("\"b\""), Some("Mon"))));
        assert!(!of(None, Some("Mon")).agrees(&of(Some("\"b\""), Some("Tue"))));
        assert!(of(None, Some("Mon")).agrees(&of(Some("\"b\""), None)));
        assert_eq!(of(Some("W/\"a\""), None).if_range(), None);
        assert_eq!(of(Some("\"a\""), None).if_range().as_deref(), Some("\"a\""));
    }

    #[test]
    fn an_encoding_is_told_unless_it_is_none() {
        let of =
            |text: &str| ServerAnswer { content_encoding: Some(text.to_owned()), ..ServerAnswer::default() };
        assert_eq!(of("gzip").encoding(), Some("gzip"));
        assert_eq!(of(" Identity ").encoding(), None);
        assert_eq!(ServerAnswer::default().encoding(), None);
    }
}
