//! The feed, without a daemon: what readers get who come again, are slow, or want less.

use super::*;

fn reader(feed: &Arc<Feed>, after: Option<&str>) -> Reader {
    Reader::new(feed, true, after)
}

/// What a reader gets until nothing is there, each with its number.
async fn all(reader: &mut Reader) -> Vec<(u64, Option<String>)> {
    let mut found = Vec::new();
    let at_once = Duration::from_millis(20);
    while let Ok(Some(item)) = tokio::time::timeout(at_once, reader.next()).await {
        let number = item.id.rsplit('-').next().unwrap().parse().unwrap();
        found.push((number, item.json.map(|json| json.to_string())));
    }
    found
}

fn on_a_runtime(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(test);
}

const RESYNC: &str = r#"{"event":"resync"}"#;

#[test]
fn a_reader_that_comes_again_goes_on_where_it_was() {
    on_a_runtime(async {
        let feed = Arc::new(Feed::new());
        let mut first = reader(&feed, None);
        assert_eq!(all(&mut first).await, [(0, None)], "its place, before anything has happened");
        let id = |number: u64| format!("{}-{number}", feed.name);
        (0..5).for_each(|_| feed.put(&Event::Resync));
        assert_eq!(all(&mut first).await.len(), 5);
        let numbers =
            |found: Vec<(u64, Option<String>)>| found.into_iter().map(|one| one.0).collect::<Vec<_>>();
        assert_eq!(numbers(all(&mut reader(&feed, Some(&id(0)))).await), [1, 2, 3, 4, 5]);
        assert_eq!(numbers(all(&mut reader(&feed, Some(&id(3)))).await), [4, 5]);
        assert_eq!(numbers(all(&mut reader(&feed, Some(&id(5)))).await), [0; 0], "it has missed nothing");
    });
}

#[test]
fn whoever_missed_what_is_gone_is_told_once_and_goes_on_from_now() {
    on_a_runtime(async {
        let feed = Arc::new(Feed::new());
        let mut slow = reader(&feed, None);
        let place = slow.next().await.unwrap().id;
        (0..KEPT + 1).for_each(|_| feed.put(&Event::Resync));
        assert_eq!(locked(&feed.ring).kept.len(), KEPT, "no more is kept");
        let last = KEPT as u64 + 1;
        let told = [(last, Some(RESYNC.to_owned()))];
        assert_eq!(all(&mut slow).await, told);
        let strange =
            [&place[..], "00000000-1", "", "-", &format!("{}-{}", feed.name, last + 1)].map(str::to_owned);
        for id in strange {
            assert_eq!(all(&mut reader(&feed, Some(&id))).await, told, "after `{id}`");
        }
        feed.put(&Event::Resync);
        assert_eq!(all(&mut slow).await[0].0, last + 1);
    });
}

#[test]
fn lines_of_the_history_are_for_those_who_want_them_and_the_end_for_all() {
    on_a_runtime(async {
        let feed = Arc::new(Feed::new());
        let mut without = Reader::new(&feed, false, None);
        let line = crate::history::blank(jiff::Timestamp::UNIX_EPOCH, "api", "started".to_owned());
        feed.put(&Event::History(Box::new(line)));
        feed.put(&Event::Resync);
        assert_eq!(all(&mut without).await[1..], [(2, Some(RESYNC.to_owned()))]);
        locked(&feed.ring).is_over = true;
        feed.last.send_modify(|_| {});
        assert_eq!(without.next().await, None);
    });
}
