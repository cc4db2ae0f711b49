//! How the kernel hands out the addresses of a domain: from the top downwards, the first place that is aligned.

const PAGE: u64 = 4096;
const TOP: u64 = 1 << 32;

#[derive(Debug, Default)]
pub struct Addresses {
    /// Starts and lengths, highest first.
    taken: Vec<(u64, u64)>,
    /// After a refusal the kernel refuses as much and more unseen, until something comes back.
    refused: Option<u64>,
}

impl Addresses {
    pub fn allocate(&mut self, len: u64, aligned_to_size: bool) -> Option<u64> {
        if len == 0 || len > TOP || self.refused.is_some_and(|refused| len >= refused) {
            return None;
        }
        let align = if aligned_to_size { len.next_power_of_two() } else { PAGE };
        let mut limit = TOP;
        for (index, &(start, taken)) in self.taken.iter().enumerate() {
            if let Some(place) = limit.checked_sub(len).map(|place| place / align * align)
                && place >= start + taken
            {
                self.taken.insert(index, (place, len));
                return Some(place);
            }
            limit = start;
        }
        let place = limit.checked_sub(len).map_or(0, |place| place / align * align);
        if place < PAGE {
            self.refused = Some(len);
            return None;
        }
        self.taken.push((place, len));
        Some(place)
    }

    pub fn free(&mut self, start: u64) {
        self.refused = None;
        self.taken.retain(|(taken, _)| *taken != start);
    }
}
