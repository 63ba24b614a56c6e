//! Pages of a list, by key: the next page begins after the last item of this one, whatever was added meanwhile.

/// Some items, and where the next ones begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, K> {
    /// In the list's order.
    pub items: Vec<T>,
    /// The key to go on from; `None` at the end of the list.
    pub next: Option<K>,
}

impl<T, K> Page<T, K> {
    /// Takes up to `limit` wanted items; `each` answers `None` for an item that the caller may not see. Looks at no
    /// more than `examined_max` of them, so that a page can be short and still have a next one.
    pub fn collect<S>(
        source: impl Iterator<Item = S>,
        limit: usize,
        examined_max: usize,
        key: impl Fn(&S) -> K,
        mut each: impl FnMut(S) -> Option<T>,
    ) -> Self {
        let mut source = source.peekable();
        let mut items = Vec::new();
        let mut last = None;
        for _ in 0..examined_max {
            if items.len() == limit {
                break;
            }
            let Some(item) = source.next() else {
                return Self { items, next: None };
            };
            last = Some(key(&item));
            items.extend(each(item));
        }
        let next = if source.peek().is_some() { last } else { None };
        Self { items, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(limit: usize, examined_max: usize) -> (Vec<u32>, Option<u32>) {
        let is_even = |n: u32| n.is_multiple_of(2).then_some(n);
        let page = Page::collect(1..=10, limit, examined_max, |n| *n, is_even);
        (page.items, page.next)
    }

    #[test]
    fn says_where_to_go_on() {
        assert_eq!(page(2, 100), (vec![2, 4], Some(4)));
        assert_eq!(page(5, 100), (vec![2, 4, 6, 8, 10], None));
        assert_eq!(page(100, 100), (vec![2, 4, 6, 8, 10], None));
        assert_eq!(page(100, 3), (vec![2], Some(3)), "a short page with a next one");
    }
}
