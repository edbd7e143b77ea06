//! Databases that compare texts without regard to case or trailing blanks.

use aside::{Repository, Source};

use super::coupons::{Coupon, CouponIndex, Coupons, coupon};
use crate::world::on_both;

const SPELLINGS: [&str; 3] = ["SPRING", "spring", "spring  "];

#[tokio::test]
async fn a_row_is_cached_only_under_its_own_name() {
    on_both(async |world| {
        let (instances, coupons) = world.two_over(&Coupons::default()).await;
        coupons[0].save(coupon("spring", 10)).await.unwrap();
        let read = async |percent| {
            for code in SPELLINGS.iter().chain(&SPELLINGS) {
                for coupons in &coupons {
                    let found = coupons.find_by_id(&(*code).to_owned()).await.unwrap();
                    assert_eq!(found.unwrap().percent, percent, "{code:?}");
                }
            }
            for coupons in &coupons {
                let found = coupons.find_many(&SPELLINGS.map(str::to_owned)).await;
                let percents = found.unwrap().into_iter().map(|row| row.unwrap().percent);
                assert!(percents.eq([percent; 3]));
            }
        };
        read(10).await;

        coupons[0].update(coupon("spring", 0)).await.unwrap();

        read(0).await;
        // Its id is compared as a text.
        let explained = instances[1].cache.explain("coupon:spring").await;
        assert_eq!(explained.local.unwrap().verdict, "served");
        assert!(instances[1].errors("misplaced_value") > 0);
        assert!(instances[1].holds("coupon:spring").await);
        assert!(!instances[1].holds("coupon:SPRING").await);
    })
    .await;
}

#[tokio::test]
async fn an_absence_under_a_text_ends_with_another_spelling() {
    on_both(async |world| {
        let (instances, coupons) = world.two_over(&Coupons::default()).await;
        for code in ["SUMMER", "summer "] {
            for coupons in coupons.iter().chain(&coupons) {
                assert!(
                    coupons
                        .find_by_id(&code.to_owned())
                        .await
                        .unwrap()
                        .is_none()
                );
            }
        }

        coupons[0].save(coupon("Summer", 20)).await.unwrap();

        for code in ["SUMMER", "summer ", "Summer"] {
            for coupons in coupons.iter().chain(&coupons) {
                let found = coupons.find_by_id(&code.to_owned()).await.unwrap();
                assert_eq!(found.unwrap().percent, 20, "{code:?}");
            }
        }
        assert_eq!(instances[0].errors("not_cacheable"), 0);
    })
    .await;
}

#[tokio::test]
async fn a_list_is_not_trusted_once_its_rows_are_in_another() {
    on_both(async |world| {
        let (_instances, coupons) = world.two_over(&Coupons::default()).await;
        let list = async |shop: &str| {
            let index = CouponIndex::Shop(shop.to_owned());
            let mut codes = Vec::new();
            for coupons in coupons.iter().chain(&coupons) {
                let found = coupons.find_by(&index).await.unwrap();
                codes.push(found.iter().map(|row| row.code.clone()).collect::<Vec<_>>());
            }
            codes.dedup();
            assert_eq!(codes.len(), 1, "{codes:?}");
            codes.remove(0)
        };
        coupons[0].save(coupon("a", 1)).await.unwrap();
        assert_eq!(list("Books").await, ["a"]);
        assert_eq!(list("Toys").await, [""; 0]);
        assert_eq!(list("BOOKS").await, ["a"]);

        for (code, shop) in [("b", "BOOKS"), ("c", "TOYS")] {
            let shop = shop.to_owned();
            let row = Coupon {
                shop,
                ..coupon(code, 2)
            };
            coupons[0].save(row).await.unwrap();
        }

        for shop in ["Books", "BOOKS", "books"] {
            assert_eq!(list(shop).await, ["a", "b"], "{shop}");
        }
        for shop in ["Toys", "TOYS", "toys"] {
            assert_eq!(list(shop).await, ["c"], "{shop}");
        }
    })
    .await;
}
