//! The rules that every adapter to an HTTP client keeps, as functions that run against any of them.
//!
//! An adapter implements [`Client`], which takes a few dozen lines, and gets a test for every rule:
//!
//! ```ignore
//! token_refresh_conformance::adapter_rules!(MyClient);
//! ```
//!
//! Each rule starts servers of its own on 127.0.0.1, sends requests through the client and reads from the servers' logs
//! what really happened. Rules are named after the requirement they test.
#![allow(clippy::missing_panics_doc, reason = "a rule that is broken panics")]

mod cookies;
mod exchange;
mod hostile;
mod identities;
mod leaks;
mod observations;
mod origins;
mod redirects;
mod refusals;
mod replays;
mod retries;
mod setup;
mod time;
mod token_answers;
mod token_requests;
mod world;

use std::time::SystemTime;

use token_refresh_core::Cause;
use token_refresh_driver::{Session, StepUp};

pub use self::{
    cookies::*,
    exchange::*,
    hostile::*,
    identities::*,
    observations::*,
    origins::*,
    redirects::*,
    refusals::*,
    replays::*,
    retries::*,
    setup::{Format, RefusedIf, Setup, TestClock},
    time::*,
    token_answers::*,
    token_requests::*,
};

/// An HTTP client whose requests carry the token of one session. Shared by threads.
pub trait Client: Send + Sync {
    /// Makes one, and signs it in.
    fn new(setup: &Setup) -> Self;

    /// The session whose token it sends.
    fn session(&self) -> &Session;

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// There is no answer, or only a refusal and no newer token.
    fn send(&self, request: &Spec) -> Result<Answer, Problem>;
}

/// A request.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its method.
    pub method: &'static str,
    /// Its target.
    pub url: String,
    /// Its fields.
    pub headers: Vec<(&'static str, String)>,
    /// Its content.
    pub content: Content,
    /// Whether it is sent once more after a refusal.
    pub replay: Replay,
    /// Whether it is to carry no token, by the caller's wish.
    pub without_token: bool,
}

/// The content of a request.
#[derive(Clone, Debug)]
pub enum Content {
    /// None.
    None,
    /// In memory, so that it can be sent twice.
    Bytes(Vec<u8>),
    /// A stream that yields these bytes once.
    Stream(Vec<u8>),
}

/// Whether a request is sent once more after a refusal (RPLY-04).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Never.
    Never,
    /// As the adapter does by default.
    Default,
    /// Always.
    Always,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Its fields; names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its content.
    pub body: Vec<u8>,
    /// What it asks for beyond the token, as the adapter understands it.
    pub step_up: Option<StepUp>,
}

/// Why there is no answer that helps.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The answer that refused the token, if that is what happened.
    pub refusal: Option<Box<Answer>>,
    /// What to do about the token; `None` if the token is not to blame.
    pub cause: Option<Cause>,
    /// From when on asking again makes a difference.
    pub retry_at: Option<SystemTime>,
    /// Everything that the error shows, by `Display` and `Debug`, its sources included.
    pub text: String,
}

impl Spec {
    /// A request without content.
    pub fn new(method: &'static str, url: impl Into<String>) -> Self {
        let (headers, content, replay) = (Vec::new(), Content::None, Replay::Default);
        Self { method, url: url.into(), headers, content, replay, without_token: false }
    }

    /// A GET request.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A POST request with content from memory.
    pub fn post(url: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self { content: Content::Bytes(content.into()), ..Self::new("POST", url) }
    }

    /// With this field.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With this switch.
    #[must_use]
    pub fn replay(mut self, replay: Replay) -> Self {
        self.replay = replay;
        self
    }
}

impl Problem {
    /// An error and its sources, as text.
    pub fn text_of(error: &(dyn std::error::Error + 'static)) -> String {
        let chain = std::iter::successors(Some(error), |error| error.source());
        chain.map(|error| format!("{error}; {error:?}")).collect::<Vec<_>>().join("\n")
    }
}

/// One test for every rule, against this [`Client`]; `without redirects:` for one that follows none.
#[macro_export]
macro_rules! adapter_rules {
    (without redirects: $client:ty) => {
        $crate::adapter_rules! { $client:
            sec_02_the_token_stays_on_allowed_origins
            sec_01_plain_text_gets_nothing_where_https_is_allowed
            sec_02_look_alikes_of_an_allowed_origin_get_nothing
            sec_02_without_allowed_origins_nobody_gets_the_token
            auth_01_the_token_travels_in_one_field
            auth_04_own_credentials_are_left_alone
            chal_08_what_carried_no_token_refuses_none
            auth_04_a_request_can_do_without_the_token
            chal_01_a_refusal_is_found_among_other_challenges
            chal_02_invalid_token_is_refreshed_and_the_request_repeated
            chal_03_a_demand_for_a_nonce_is_handed_back
            chal_04_insufficient_scope_is_handed_back
            chal_05_insufficient_user_authentication_is_handed_back
            chal_06_a_403_or_407_is_handed_back
            chal_06_a_403_counts_where_the_caller_says_so
            chal_07_a_bare_401_counts_unless_strict
            chal_09_the_error_code_outranks_the_status
            chal_10_any_status_can_be_a_refusal_by_the_callers_rule
            chal_10_a_predicate_that_panics_refuses_nothing
            chal_10_content_is_complete_after_a_look_at_it
            chal_11_the_second_refusal_is_the_answer
            rply_01_i_17_a_request_is_repeated_once_and_with_a_newer_token
            rply_02_the_repetition_is_the_same_request
            rply_03_a_stream_is_not_repeated_but_the_token_is_refreshed
            rply_04_methods_that_may_act_twice_need_a_clear_refusal
            rply_04_the_callers_switch_decides
            rply_06_nothing_else_is_repeated
            rply_08_a_failed_refresh_leaves_the_refusal_and_says_why
            xreq_06_a_redirect_of_the_token_request_is_not_followed
            core_15_a_refusal_at_the_token_endpoint_opens_nothing
            core_01_a_herd_makes_one_token_request
            core_05_a_herd_shares_one_failure
            core_04_a_late_refusal_starts_nothing
            auth_05_a_refusal_is_about_the_token_that_was_sent
            core_12_accepted_tokens_keep_the_breaker_closed
            core_13_a_caller_waits_no_longer_than_its_limit
            core_14_a_caller_who_gives_up_does_not_lose_the_token
            sec_04_errors_show_no_secrets
            xreq_01_10_the_refresh_grant_is_one_form
            xreq_01_every_character_of_a_refresh_token_arrives
            xreq_02_03_the_client_authenticates_in_one_place
            xreq_02_no_other_method_is_tried
            xreq_04_12_scope_and_resource_are_sent_if_they_were_set
            xreq_09_each_attempt_carries_an_assertion_of_its_own
            xreq_11_no_token_request_is_in_the_first_flight
            xreq_12_an_unknown_resource_fails_its_own_session
            xreq_07_i_24_each_token_stays_where_it_belongs
            auth_02_a_token_is_used_as_its_type_says_or_not_at_all
            auth_03_a_token_that_cannot_stand_in_a_field_is_not_sent
            xrsp_01_what_is_not_needed_is_ignored
            xrsp_01_09_an_answer_that_cannot_be_used_may_have_cost_the_refresh_token
            xrsp_02_an_error_under_200_is_an_error
            xrsp_03_without_a_new_refresh_token_the_old_one_stays
            xrsp_04_a_new_refresh_token_replaces_the_old_one
            xrsp_05_lifetimes_are_read_tolerantly
            xrsp_06_less_scope_starts_nothing
            xrsp_08_another_users_answer_does_not_enter_the_session
            xrsp_10_only_a_clear_word_ends_a_session
            xrsp_11_core_09_what_passes_ends_no_session
            xrsp_12_what_the_operator_has_to_mend_keeps_the_refresh_token
            xrsp_12_invalid_request_is_tried_once_more
            xreq_04_a_refused_scope_is_left_out_once
            xrsp_13_whom_a_401_of_the_token_endpoint_is_about
            retry_01_what_was_not_sent_is_told_from_what_may_have_been
            retry_02_after_a_lost_answer_the_refresh_token_is_presented_once_more
            retry_02_i_02_a_lost_answer_is_not_asked_for_a_third_time
            retry_07_a_refusal_after_a_lost_answer_has_its_own_reason
            retry_05_nothing_is_asked_before_the_time_that_the_server_named
            retry_05_a_named_time_puts_off_the_prompt_presentation
            sec_06_a_broken_answer_of_the_token_endpoint_leaves_the_outcome_open
            sec_06_hostile_challenges_over_the_wire_do_no_harm
            cook_02_03_sec_03_a_204_counts_and_its_cookies_go_where_a_token_goes
            cook_01_a_refresh_cookie_rotates_and_its_refusal_is_final
            core_11_an_api_that_always_refuses_cannot_cause_a_flood
            core_03_a_token_endpoint_that_never_answers_is_given_up
            core_10_without_a_refresh_token_the_refusal_is_the_answer
            core_18_sessions_do_not_hold_up_each_other
            auth_06_an_expired_token_is_replaced_before_it_is_sent
            time_04_a_token_gets_older_while_the_machine_sleeps
            time_05_a_refusal_counts_long_before_the_end
            time_06_a_token_without_a_lifetime_serves_its_round
            time_07_an_access_token_is_not_looked_into
            core_16_near_the_end_nobody_waits
            sess_01_02_who_waits_for_one_user_gets_no_token_of_the_next
            sess_03_a_late_refusal_is_not_repeated_as_the_next_user
            sess_01_after_a_sign_out_nothing_is_sent
            sec_04_a_client_secret_is_shown_nowhere
            obs_01_each_exchange_is_told_as_the_server_saw_it
            obs_02_five_causes_can_be_told_apart
            obs_03_a_lost_session_is_announced_once
            xrsp_06_a_change_of_scope_is_told
        }
    };
    ($client:ty) => {
        $crate::adapter_rules!(without redirects: $client);
        $crate::adapter_rules! { $client:
            sec_03_a_redirect_elsewhere_takes_the_token_off
            sec_03_a_redirect_there_and_back_refreshes_nothing
            rply_05_the_repetition_begins_where_the_request_began
            rply_05_a_refusal_elsewhere_is_the_answer
        }
    };
    ($client:ty: $($rule:ident)*) => {
        $(
            #[test]
            fn $rule() {
                $crate::adapter::$rule::<$client>();
            }
        )*
    };
}
