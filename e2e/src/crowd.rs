//! A crowd of clients that ask without a pause, each one question at a time, while something happens to the server.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use crate::LIMIT;
use crate::wait_until;

/// How many ask at the same time.
pub const CLIENTS: usize = 4;
/// Clients at work.
#[derive(Debug)]
pub struct Crowd {
    is_over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<io::Error>>>,
}

impl Crowd {
    /// Has all of them ask this again and again.
    pub fn asking(question: impl Fn() -> io::Result<()> + Clone + Send + 'static) -> Crowd {
        let is_over = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let client = |_| {
            let (question, is_over, answered) =
                (question.clone(), Arc::clone(&is_over), Arc::clone(&answered));
            std::thread::spawn(move || {
                let mut failures = Vec::new();
                while !is_over.load(Ordering::SeqCst) {
                    match question() {
                        Ok(()) => drop(answered.fetch_add(1, Ordering::SeqCst)),
                        Err(why) => failures.push(why),
                    }
                }
                failures
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Crowd { is_over, answered, clients }
    }

    /// Waits until so many more were answered.
    #[track_caller]
    pub fn wait_for_answers(&self, more: usize) {
        let before = self.answered.load(Ordering::SeqCst);
        wait_until("the crowd is answered", LIMIT, || {
            let answered = self.answered.load(Ordering::SeqCst);
            if answered >= before + more {
                Ok(())
            } else {
                Err(format!("{answered} answers, after {before}"))
            }
        });
    }

    /// Lets them finish: nobody was refused, and at each of so many kills each client had at most one question out.
    #[track_caller]
    pub fn is_content(self, kills: usize) {
        self.is_over.store(true, Ordering::SeqCst);
        let clients = self.clients.into_iter();
        let failures: Vec<io::Error> = clients
            .flat_map(|client| client.join().unwrap_or_else(|_| panic!("a client panicked")))
            .collect();
        let refused = failures.iter().filter(|why| why.kind() == io::ErrorKind::ConnectionRefused).count();
        assert_eq!(refused, 0, "refused: {failures:#?}");
        assert!(
            failures.len() <= kills * CLIENTS,
            "{} failed at {kills} kills: {failures:#?}",
            failures.len()
        );
        let hung = failures
            .iter()
            .find(|why| matches!(why.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut));
        assert!(hung.is_none(), "not answered in time: {failures:#?}");
    }
}
