//! Which candidates stay when there are too many.

use crate::{
    error::{Error, Result},
    sorting::sort_by,
};

/// The places of the `k` highest scores, the highest first; of equal ones those that come first. All of them where there are no
/// more than `k`.
///
/// # Errors
///
/// [`Error::InvalidArgument`] for a score that is no number.
pub fn top_k(scores: &[f64], k: usize) -> Result<Vec<u32>> {
    if let Some(at) = scores.iter().position(|score| score.is_nan()) {
        return Err(Error::invalid_argument("scores", "numbers", format!("NaN at {at}")));
    }
    let mut ranked: Vec<(f64, u32)> = scores.iter().copied().zip(0..).collect();
    sort_by(&mut ranked, |one, other| other.0.total_cmp(&one.0));
    Ok(ranked.into_iter().take(k).map(|(_, place)| place).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_come_first_and_equals_keep_their_order() {
        assert_eq!(top_k(&[0.1, 0.9, 0.5, 0.9, -1.0], 3).unwrap(), [1, 3, 2]);
        assert_eq!(top_k(&[0.1, 0.9], 9).unwrap(), [1, 0]);
        assert_eq!(top_k(&[f64::NEG_INFINITY, f64::INFINITY], 1).unwrap(), [1]);
        assert!(top_k(&[], 3).unwrap().is_empty());
        assert!(top_k(&[1.0], 0).unwrap().is_empty());
        assert_eq!(top_k(&[1.0, f64::NAN], 1).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
    }
}
