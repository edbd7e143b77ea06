//! Promises of `stripes.rs`, in every interleaving and under weak memory.

use aside_interleavings::stripes::{
    Forgetting, Rule, a_dead_row_is_never_served, a_later_proof_passes_nothing,
};

#[test]
fn a_row_forgotten_before_it_was_asked_for_is_never_served() {
    a_dead_row_is_never_served(Rule::Kept, Forgetting::Key);
}

#[test]
fn nor_is_one_that_was_forgotten_with_everything() {
    a_dead_row_is_never_served(Rule::Kept, Forgetting::All);
}

#[test]
#[should_panic(expected = "a row that was forgotten")]
fn a_stamp_that_is_taken_after_the_look_is_caught() {
    a_dead_row_is_never_served(Rule::StampBeforeTheLook, Forgetting::Key);
}

#[test]
#[should_panic(expected = "a row that was forgotten")]
fn a_forgetting_before_the_quarantine_is_caught() {
    a_dead_row_is_never_served(Rule::ForgetAfterTheQuarantine, Forgetting::Key);
}

#[test]
#[should_panic(expected = "a row that was forgotten")]
fn a_hit_whose_stamp_is_not_looked_at_is_caught() {
    a_dead_row_is_never_served(Rule::LookAtTheStampOfAHit, Forgetting::Key);
}

#[test]
fn the_proof_of_a_later_connection_passes_nothing_that_was_held_before() {
    a_later_proof_passes_nothing(Rule::Kept);
}

#[test]
#[should_panic(expected = "proved by a later connection")]
fn generations_that_are_looked_at_before_the_proof_are_caught() {
    a_later_proof_passes_nothing(Rule::ProofBeforeTheGenerations);
}
