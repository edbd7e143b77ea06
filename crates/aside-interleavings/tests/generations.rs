//! Promises of `trust/generations.rs`, in every interleaving and under weak memory.

use aside_interleavings::generations::{
    Forgetting, Rule, a_dead_row_is_never_served, a_later_proof_passes_nothing,
};

#[test]
fn a_row_invalidated_before_a_read_is_never_served() {
    a_dead_row_is_never_served(Rule::Kept, Forgetting::Key);
}

#[test]
fn a_row_invalidated_with_all_others_is_never_served() {
    a_dead_row_is_never_served(Rule::Kept, Forgetting::All);
}

#[test]
#[should_panic(expected = "an invalidated row was served")]
fn a_stamp_taken_after_the_read_of_redis_is_caught() {
    a_dead_row_is_never_served(Rule::StampBeforeTheLook, Forgetting::Key);
}

#[test]
#[should_panic(expected = "an invalidated row was served")]
fn an_invalidation_before_the_quarantine_is_caught() {
    a_dead_row_is_never_served(Rule::ForgetAfterTheQuarantine, Forgetting::Key);
}

#[test]
#[should_panic(expected = "an invalidated row was served")]
fn a_hit_with_an_unchecked_stamp_is_caught() {
    a_dead_row_is_never_served(Rule::LookAtTheStampOfAHit, Forgetting::Key);
}

#[test]
fn a_later_connections_proof_validates_no_earlier_entry() {
    a_later_proof_passes_nothing(Rule::Kept);
}

#[test]
#[should_panic(expected = "proved by a later connection")]
fn checking_generations_before_the_proof_is_caught() {
    a_later_proof_passes_nothing(Rule::ProofBeforeTheGenerations);
}
