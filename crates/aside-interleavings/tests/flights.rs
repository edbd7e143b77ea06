//! Promises of `local/flight`, on thousands of schedules each.

use aside_interleavings::flights::{
    Leaders, Step, a_lead_is_handed_over_while_waiters_go_away,
    a_lenient_reader_takes_what_an_entry_of_its_generations_would_give,
    every_reader_is_answered_with_what_is_no_older_than_its_question,
};

#[test]
fn one_reader_leads_and_every_reader_gets_a_fresh_row() {
    every_reader_is_answered_with_what_is_no_older_than_its_question(
        Leaders::Stay,
        Step::BeforeTheLoad,
    );
}

#[test]
fn readers_continue_after_their_leader_is_dropped() {
    every_reader_is_answered_with_what_is_no_older_than_its_question(
        Leaders::FirstGoesAway,
        Step::BeforeTheLoad,
    );
}

#[test]
fn a_lead_is_handed_over_while_a_waiter_is_dropped() {
    a_lead_is_handed_over_while_waiters_go_away(2);
}

#[test]
fn a_flight_without_leader_and_waiters_is_removed() {
    a_lead_is_handed_over_while_waiters_go_away(0);
}

#[test]
fn a_reader_under_newer_generations_takes_no_older_row() {
    a_lenient_reader_takes_what_an_entry_of_its_generations_would_give(2);
}

#[test]
#[should_panic(expected = "returned")]
fn a_load_that_is_counted_when_it_returns_is_caught() {
    every_reader_is_answered_with_what_is_no_older_than_its_question(
        Leaders::Stay,
        Step::AfterTheLoad,
    );
}

#[test]
#[should_panic(expected = "2 1")]
fn a_reader_under_generations_before_its_write_is_caught() {
    a_lenient_reader_takes_what_an_entry_of_its_generations_would_give(1);
}
