//! What several runs of a measurement amount to.

/// The middle value of an odd number, or the higher of the two in the middle.
///
/// # Panics
/// If there are no values, or they have no order (NaN).
pub fn median<T: Copy + PartialOrd>(values: &[T]) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|one, other| one.partial_cmp(other).expect("values that have an order"));
    sorted[sorted.len() / 2]
}
