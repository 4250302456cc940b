//! Faults of the driver that show only in some orders of the steps of its threads.

/// One fault.
#[derive(Debug)]
pub struct Fault {
    /// Its name.
    pub id: &'static str,
    /// What is wrong with it.
    pub says: &'static str,
    /// Where it is planted.
    pub file: &'static str,
    /// A piece of that file that occurs once; what stands between « and » is replaced.
    pub place: &'static str,
    /// By this.
    pub fault: &'static str,
    /// The tests that fail then.
    pub found_by: &'static [&'static str],
}

/// All of them.
pub const FAULTS: &[Fault] = &[
    Fault {
        id: "accepted-twice",
        says: "whether an acceptance is news is looked up, and then noted",
        file: "published.rs",
        place: "«!original.accepted.swap(true, Ordering::Relaxed)»",
        fault: "let known = original.accepted.load(Ordering::Relaxed); original.accepted.store(true, Ordering::Relaxed); !known",
        found_by: &[
            "under_loom::published_token::core_12_an_acceptance_is_news_once_whatever_thread_brings_it",
        ],
    },
    Fault {
        id: "stamp-by-generation",
        says: "a copy is told by the generation of its token",
        file: "published.rs",
        place: "let stamp = «LAST.fetch_add(1, Ordering::Relaxed) + 1»;",
        fault: "snapshot.id.generation.0",
        found_by: &["under_loom::published_token::i_11_a_token_of_the_same_name_is_another_token"],
    },
    Fault {
        id: "copy-without-stamp",
        says: "a thread that has a copy takes it, whatever is published",
        file: "published.rs",
        place: "self.0.iter().find(|copy| «copy.stamp == stamp»)",
        fault: "copy.token.is_some() || copy.stamp == stamp",
        found_by: &["under_loom::published_token::i_11_after_its_withdrawal_no_thread_is_given_the_token"],
    },
    Fault {
        id: "answer-forgotten",
        says: "a caller puts its waker over an answer that has just come",
        file: "wait.rs",
        place: "let old = «match &mut *self.lock() {\n            Place::Answered(answer) => return Poll::Ready(answer.clone()),\n            Place::Waiting(place) => place.replace(waker),\n        }»;",
        fault: "*self.lock() = Place::Waiting(Some(waker)); None::<Waker>",
        found_by: &[
            "under_loom::hand_off::core_01_core_03_every_caller_is_woken_by_one_exchange_and_finds_the_token_published",
        ],
    },
    Fault {
        id: "wake-up-lost",
        says: "an answer is put in its place, and nobody is woken",
        file: "wait.rs",
        place: "match mem::replace(&mut *self.lock(), Place::Answered(answer)) {\n            Place::Waiting(waker) => «waker»,",
        fault: "None::<Waker>",
        found_by: &[
            "under_loom::hand_off::core_01_core_03_every_caller_is_woken_by_one_exchange_and_finds_the_token_published",
            "under_shuttle::blocking_loop::core_13_core_14_a_caller_whose_time_is_over_as_the_answer_comes_takes_nothing_with_it",
            "under_shuttle::async_loop::core_14_a_future_that_is_dropped_as_it_is_woken_takes_nothing_with_it",
        ],
    },
    Fault {
        id: "baton-dropped",
        says: "whoever dies leaves the run to nobody",
        file: "baton.rs",
        place: "let Some(effect) = «self.effect.take()» else { return };",
        fault: "None::<Effect>",
        found_by: &[
            "under_loom::hand_off::core_03_where_the_leader_dies_at_work_its_successor_serves_every_caller",
            "under_shuttle::blocking_loop::core_03_wherever_the_leader_dies_every_caller_is_served_by_its_successor",
            "under_shuttle::async_loop::core_03_whenever_the_leader_is_thrown_away_every_caller_is_answered_and_the_next_is_served",
        ],
    },
    Fault {
        id: "others-forgotten",
        says: "a caller that goes takes the others' places along",
        file: "engine.rs",
        place: "inner.machine.cancel(waiter);\n            «inner.waiting.remove(&waiter);»",
        fault: "inner.waiting.clear();",
        found_by: &[
            "under_loom::hand_off::core_14_a_caller_that_goes_when_it_is_woken_takes_nothing_with_it",
            "under_shuttle::blocking_loop::core_13_core_14_a_caller_whose_time_is_over_as_the_answer_comes_takes_nothing_with_it",
            "under_shuttle::async_loop::core_14_a_future_that_is_dropped_as_it_is_woken_takes_nothing_with_it",
        ],
    },
    Fault {
        id: "sign-out-skipped",
        says: "a session that is refreshing is not signed out",
        file: "session.rs",
        place: "self.engine.call(|inner, now| «inner.machine.sign_out(now)»);",
        fault: "if inner.machine.state() != State::Refreshing { inner.machine.sign_out(now) }",
        found_by: &[
            "under_shuttle::blocking_loop::sess_05_a_sign_out_at_any_moment_of_a_refresh_is_the_end",
            "under_shuttle::async_loop::sess_05_a_sign_out_at_any_moment_of_a_refresh_is_the_end",
        ],
    },
    Fault {
        id: "next-effect-dropped",
        says: "the effect that follows the answer of one that was dropped is dropped, too",
        file: "baton.rs",
        place: "«self.engine.start(next);»",
        fault: "next.effect = None;",
        found_by: &[
            "under_shuttle::async_loop::core_03_whenever_the_leader_is_thrown_away_every_caller_is_answered_and_the_next_is_served",
        ],
    },
];
