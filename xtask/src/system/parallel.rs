//! The same work for many things, several at a time, until one fails.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, bail};

pub(crate) fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Calls `work` for every item, `workers` at a time, beginning with the first. The results are in the items' order.
/// After a failure no further item is begun.
pub fn each<T: Sync, R: Send>(items: &[T], workers: usize, work: impl Fn(&T) -> Result<R> + Sync) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let take = || {
        let mut done = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { break };
            let result = work(item);
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            done.push((index, result));
        }
        done
    };
    let mut done = Vec::new();
    thread::scope(|scope| -> Result<()> {
        let handles: Vec<_> = (0..workers.clamp(1, items.len().max(1))).map(|_| scope.spawn(take)).collect();
        for handle in handles {
            match handle.join() {
                Ok(share) => done.extend(share),
                Err(_) => bail!("a worker panicked, see above; the input is damaged in a way that nobody has foreseen"),
            }
        }
        Ok(())
    })?;
    done.sort_by_key(|&(index, _)| index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use anyhow::ensure;

    use super::each;

    #[test]
    fn results_are_in_order_and_a_failure_stops_the_rest() {
        let items: Vec<usize> = (0..100).collect();
        assert_eq!(
            each(&items, 4, |item| Ok(item * 2)).expect("all"),
            (0..100).map(|item| item * 2).collect::<Vec<_>>()
        );
        let begun = AtomicUsize::new(0);
        let fails = |&item: &usize| {
            begun.fetch_add(1, Ordering::Relaxed);
            ensure!(item != 0, "the first");
            std::thread::sleep(std::time::Duration::from_millis(1));
            Ok(())
        };
        assert_eq!(each(&items, 2, fails).expect_err("a failure").to_string(), "the first");
        assert!(begun.into_inner() < 100);
        assert!(each(&[] as &[u8], 4, |_| Ok(())).expect("nothing to do").is_empty());
    }
}
