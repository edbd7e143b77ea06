//! One value has one key, for every `Eq` of its type. A row is cached only
//! under names that it has.

mod coupons;
mod collation;
mod equality;
