//! What is said of answers that do not do.

use super::answer::ServerAnswer;

/// Longest text of a server that is repeated, in characters.
const MOST_REPEATED: usize = 60;

/// What to do about a status that brings no file.
pub(super) fn refusal(answer: &ServerAnswer) -> String {
    let status = answer.status;
    let advice = match status {
        401 => "it wants to know who asks: pass its token, as in headers: { authorization: 'Bearer TOKEN' }",
        403 => {
            "the token may not read this file, or the signed address has expired: accept the model's terms, take another token, \
             or get the address anew"
        }
        404 | 410 => {
            "there is no such file: check the address; on Hugging Face that of a file has /resolve/ where its page's has /blob/"
        }
        408 | 425 => "try again",
        429 => return too_many(answer),
        500..=599 => "that is the server's own trouble: try again later",
        300..=399 => "it sent no address to follow: check the address",
        _ => "check the address and the headers",
    };
    format!("expected the file, but the server answered {status}; {advice}")
}

fn too_many(answer: &ServerAnswer) -> String {
    let after = answer.retry_after.as_deref().map(repeated);
    let wait = after.map_or_else(
        || "wait".to_owned(),
        |after| match after.parse::<u32>() {
            Ok(seconds) => format!("wait {seconds} seconds"),
            Err(_) => format!("wait until {after}"),
        },
    );
    format!(
        "expected the file, but the server answered 429, too many requests; {wait}, then try again, or pass a token"
    )
}

/// A server's own words, as far as they can be shown.
pub(super) fn repeated(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(MOST_REPEATED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, retry_after: Option<&str>) -> String {
        refusal(&ServerAnswer {
            status,
            retry_after: retry_after.map(str::to_owned),
            ..ServerAnswer::default()
        })
    }

    #[test]
    fn every_refusal_tells_its_status_and_what_to_do() {
        for (status, advice) in [
            (401, "token"),
            (403, "expired"),
            (404, "/resolve/"),
            (410, "no such file"),
            (418, "headers"),
            (429, "wait, then"),
            (500, "later"),
            (503, "later"),
            (304, "address"),
            (204, "address"),
        ] {
            let text = said(status, None);
            assert!(text.contains(&status.to_string()) && text.contains(advice), "{text}");
        }
    }

    #[test]
    fn a_server_that_says_how_long_to_wait_is_quoted_within_bounds() {
        assert!(said(429, Some("120")).contains("wait 120 seconds"));
        assert!(said(429, Some("Fri, 31 Dec 2027 23:59:59 GMT")).contains("wait until Fri, 31 Dec"));
        assert!(said(429, Some(&"x\u{1b}[31m".repeat(1000))).len() < 250);
    }
}
