//! `tales`: the reference application of aside.

fn main() {}
