//! The hash tree over the records of one answer: RFC 6962 §2.1 over leaves that the store made at import.
//!
//! A leaf commits to category, form, time of taking in and body, so a record cannot be shown in another category than the one that
//! was decided, nor old news as new.

use crate::id::Digest;
use crate::record::{Category, Form};
use crate::time::Timestamp;

/// The leaf of one stored form.
#[must_use]
pub fn leaf(category: Category, form: Form, taken_in: Timestamp, body: &[u8]) -> Digest {
    Digest::of(&[&[0x00, category.code(), form.code()], &taken_in.0.to_be_bytes(), body])
}

/// The root over the leaves, in the order in which the records are sent; of nothing, the hash of nothing.
#[must_use]
pub fn root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => Digest::of(&[]),
        [only] => *only,
        _ => {
            // The largest power of two smaller than the count.
            let split = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at_checked(split).unwrap_or((leaves, &[]));
            Digest::of(&[&[0x01], root(left).as_bytes(), root(right).as_bytes()])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_count_category_form_and_time_all_change_the_root() {
        let at = Timestamp(7);
        let a = leaf(Category::Problems, Form::Full, at, b"a");
        let b = leaf(Category::Problems, Form::Full, at, b"b");
        assert_ne!(root(&[a, b]), root(&[b, a]));
        assert_ne!(root(&[a]), root(&[a, a]));
        assert_ne!(a, leaf(Category::Letters, Form::Full, at, b"a"));
        assert_ne!(a, leaf(Category::Problems, Form::Summary, at, b"a"));
        assert_ne!(a, leaf(Category::Problems, Form::Full, Timestamp(8), b"a"));
    }

    #[test]
    fn the_tree_has_the_shape_of_rfc_6962() {
        let l: Vec<Digest> = (0u8..5).map(|n| Digest::of(&[&[n]])).collect();
        let node = |x: Digest, y: Digest| Digest::of(&[&[1], x.as_bytes(), y.as_bytes()]);
        assert_eq!(root(&l), node(node(node(l[0], l[1]), node(l[2], l[3])), l[4]));
        assert_eq!(root(&l[..3]), node(node(l[0], l[1]), l[2]));
    }
}
