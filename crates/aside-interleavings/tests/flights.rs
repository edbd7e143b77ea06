//! Promises of `flight.rs`, on thousands of schedules each.

use aside_interleavings::flights::{
    Leaders, Step, a_lead_is_handed_over_while_waiters_go_away,
    a_lenient_reader_takes_what_an_entry_of_its_generations_would_give,
    every_reader_is_answered_with_what_is_no_older_than_its_question,
};

#[test]
fn one_leads_at_a_time_and_every_reader_gets_a_fresh_answer() {
    every_reader_is_answered_with_what_is_no_older_than_its_question(
        Leaders::Stay,
        Step::BeforeTheLoad,
    );
}

#[test]
fn a_leader_that_goes_away_leaves_nobody_waiting() {
    every_reader_is_answered_with_what_is_no_older_than_its_question(
        Leaders::FirstGoesAway,
        Step::BeforeTheLoad,
    );
}

#[test]
fn a_lead_is_handed_over_whoever_goes_away_meanwhile() {
    a_lead_is_handed_over_while_waiters_go_away(2);
}

#[test]
fn a_flight_whose_leader_and_waiters_all_went_away_is_not_left_behind() {
    a_lead_is_handed_over_while_waiters_go_away(0);
}

#[test]
fn a_reader_under_newer_generations_takes_no_older_answer() {
    a_lenient_reader_takes_what_an_entry_of_its_generations_would_give(2);
}

#[test]
#[should_panic(expected = "answered")]
fn a_load_that_is_counted_when_it_answers_is_caught() {
    every_reader_is_answered_with_what_is_no_older_than_its_question(
        Leaders::Stay,
        Step::AfterTheLoad,
    );
}

#[test]
#[should_panic(expected = "2 1")]
fn a_reader_under_the_generations_of_before_its_write_is_caught() {
    a_lenient_reader_takes_what_an_entry_of_its_generations_would_give(1);
}
